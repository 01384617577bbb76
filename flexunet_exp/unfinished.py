"""Runs that were cut off: how they are marked, found again by the same command, and taken up.

From its beginning to its end a run has a folder `resume` in its own: the run's signature, a lock
held by the process that trains it, and the state to go on from (see state.py).
"""

from __future__ import annotations

import fcntl
import json
import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from flexunet_exp import files
from flexunet_exp.errors import InputError

log = logging.getLogger(__name__)

FOLDER = "resume"
MARK = "run.json"
# Where runs lie unless hydra.run.dir or hydra.sweep.dir say otherwise; the store knows those too.
DEFAULT_PLACES = ("outputs/*/*", "outputs/multirun/*/*/*")


class Claim:
    """A process's hold on an unfinished run: while it lives no other one can take the run up."""

    def __init__(self, run_folder: Path, lock: IO[str]):
        self.run_folder, self.folder, self.lock = run_folder, run_folder / FOLDER, lock

    def end(self) -> None:
        """Nothing is left to go on with: the state is removed, the run stands as it is."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Lets go of the run; it can be taken up again where its state stands."""
        self.lock.close()


def begin(run_folder: Path, signature: str) -> Claim:
    """Marks a run's folder as unfinished; InputError where it holds another unfinished run."""
    if signature_in(run_folder) not in (None, signature):
        raise InputError(
            f"{run_folder} holds an unfinished run of other settings, data or code. Nothing was "
            "changed in it; choose another folder, or continue it by the command it began with."
        )
    (run_folder / FOLDER).mkdir(parents=True, exist_ok=True)
    lock = locked(run_folder)
    if lock is None:
        raise InputError(f"{run_folder} is being trained by another process. Choose another.")
    files.replace_file(run_folder / FOLDER / MARK, json.dumps({"signature": signature}).encode())
    return Claim(run_folder, lock)


def take_up(run_folder: Path, signature: str) -> Claim | None:
    """The claim on the unfinished run in this folder, or None if it holds none of this signature.

    Raises InputError when another process is training it at this moment.
    """
    if signature_in(run_folder) != signature:
        return None
    lock = locked(run_folder)
    if lock is None:
        raise InputError(
            f"This very run is being trained by another process at this moment, in {run_folder}. "
            "To train it a second time beside it: trainer.resume=never"
        )
    files.remove_parts(run_folder)
    return Claim(run_folder, lock)


def search(signature: str, known: Iterable[str], here: Path) -> list[Path]:
    """The folders of unfinished runs with this signature: those the store knows, those near here.

    `known` are run folders that the store names; `here` is this job's own folder.
    """
    near = (path for place in DEFAULT_PLACES for path in Path.cwd().glob(f"{place}/{FOLDER}"))
    folders = [here, *map(Path, known), *(path.parent for path in near)]
    return [path for path in dict.fromkeys(folders) if signature_in(path) == signature]


def signature_in(run_folder: Path) -> str | None:
    """The signature of the unfinished run in a folder; None where there is none."""
    try:
        return json.loads((run_folder / FOLDER / MARK).read_text())["signature"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def locked(run_folder: Path) -> IO[str] | None:
    """The run's lock file, held until it is closed or the process dies; None if another has it."""
    lock = (run_folder / FOLDER / "lock").open("w")  # stays open: closing it lets go
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock
