"""Unfinished runs: marks them, finds them for the same command, and takes them up.

From its beginning to its end a run folder has a folder `resume`: the run's signature and machine, a
lock that the training process holds, and the state to go on from (see state.py).
"""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from flexunet_exp.config.identity import every
from flexunet_exp.errors import InputError
from flexunet_exp.system import files, locks

FOLDER = "resume"
MARK = "run.json"
STATE = "state.npy"
# Folders of runs without hydra.run.dir or hydra.sweep.dir; the store knows the others.
DEFAULT_PLACES = ("outputs/*/*", "outputs/multirun/*/*/*")


class Busy(InputError):
    """Another process trains this run at this moment."""


class Claim:
    """A process's hold on an unfinished run: meanwhile no other process can take it up."""

    def __init__(self, run_folder: Path, lock: IO[bytes]):
        self.run_folder, self.folder, self.lock = run_folder, run_folder / FOLDER, lock

    @property
    def has_state(self) -> bool:
        return (self.folder / STATE).exists()

    def end(self) -> None:
        """Removes the state: no command goes on with the run, whose other files stay."""
        (self.folder / MARK).unlink(missing_ok=True)  # first: from here on no process takes it up
        shutil.rmtree(self.folder, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Releases the run; a command can take it up again at its state."""
        self.lock.close()


def begin(run_folder: Path, signature: str) -> Claim:
    """Marks a run's folder as unfinished; InputError where it holds another unfinished run."""
    if signature_in(run_folder) not in (None, *every(signature)):
        raise InputError(
            f"{run_folder} holds an unfinished run of other settings, data or code. Choose another "
            "folder with hydra.run.dir=FOLDER, or go on with that run by its own command."
        )
    (run_folder / FOLDER).mkdir(parents=True, exist_ok=True)
    try:
        lock = locks.exclusive(lock_of(run_folder))
    except locks.Locked as error:
        raise Busy(
            f"Another process trains a run in {run_folder} at this moment. Choose another folder."
        ) from error
    write_mark(run_folder, signature)
    return Claim(run_folder, lock)


def take_up(run_folder: Path, signature: str) -> Claim | None:
    """The claim on the unfinished run in this folder, or None if it holds none of this signature.

    Raises Busy where another process trains it at this moment.
    """
    if signature_in(run_folder) not in every(signature):
        return None
    try:
        lock = locks.exclusive(lock_of(run_folder))
    except locks.Locked as error:
        raise Busy(
            f"Another process trains this very run at this moment, in {run_folder}. To train it a "
            "second time beside that: trainer.resume=never"
        ) from error
    except OSError:  # it has just ended, or this user may not write there
        return None
    begun = signature_in(run_folder)
    if begun is None or begun not in every(signature):  # it ended before its lock was free
        lock.close()
        return None
    files.remove_parts(run_folder)
    write_mark(run_folder, begun)
    return Claim(run_folder, lock)


def epochs_done(run_folder: Path) -> int:
    """The epochs after which the unfinished run in a folder would go on; 0 without a state."""
    return number_in_state(run_folder, "epochs")


def outbox_kept(run_folder: Path) -> int:
    """The bytes of the outbox that the unfinished run in a folder does not report again."""
    return number_in_state(run_folder, "journal")


def number_in_state(run_folder: Path, name: str) -> int:
    try:
        with open(run_folder / FOLDER / STATE, "rb") as file:
            return int(read_json(file)[name])
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return 0


def read_json(file: IO[bytes]) -> Any:
    """The JSON text at the beginning of a state; the arrays follow it."""
    import numpy as np

    return json.loads(np.load(file, allow_pickle=False).tobytes())


def search(signature: str, known: Iterable[str], here: Path) -> list[Path]:
    """The folders of unfinished runs with this signature: in the store's list, and near here.

    `known` are run folders that the store names; `here` is this job's own folder.
    """
    names = every(signature)
    return [path for path in places([here], known) if signature_in(path) in names]


def all_near() -> dict[str, Path]:
    """The folders of the unfinished runs in their default places, by signature."""
    marks = {path: signature_in(path) for path in reversed(near(FOLDER))}
    return {signature: path for path, signature in marks.items() if signature}


def places(first: Iterable[Path], known: Iterable[str]) -> list[Path]:
    """The folders that can hold an unfinished run, each once."""
    folders = [*first, *map(Path, filter(None, known)), *near(FOLDER)]
    return list(dict.fromkeys(path.absolute() for path in folders))


def near(name: str) -> list[Path]:
    """The run folders in their default places that hold a folder of this name."""
    found = (path for place in DEFAULT_PLACES for path in Path.cwd().glob(f"{place}/{name}"))
    return [path.parent for path in found]


def is_busy(run_folder: Path) -> bool:
    """Whether a process trains the unfinished run in this folder now; changes nothing."""
    return locks.is_held(lock_of(run_folder))


def is_elsewhere(run_folder: Path) -> bool:
    """Whether the unfinished run in this folder was last trained on another machine."""
    return read_mark(run_folder).get("host", socket.gethostname()) != socket.gethostname()


def is_marked(run_folder: Path) -> bool:
    """Whether a run in this folder is unfinished."""
    return signature_in(run_folder) is not None


def signature_in(run_folder: Path) -> str | None:
    """The signature of the unfinished run in a folder; None where there is none."""
    return read_mark(run_folder).get("signature")


def read_mark(run_folder: Path) -> dict[str, Any]:
    try:
        mark = json.loads((run_folder / FOLDER / MARK).read_text())
    except (OSError, ValueError):
        return {}
    return mark if isinstance(mark, dict) else {}


def write_mark(run_folder: Path, signature: str) -> None:
    mark = {"signature": signature, "host": socket.gethostname()}
    files.replace_file(run_folder / FOLDER / MARK, json.dumps(mark).encode())


def lock_of(run_folder: Path) -> Path:
    return run_folder / FOLDER / "lock"
