"""The folder beside the output in which a data set is made; the complete set is then renamed.

`.NAME.preparing` holds `set/`, which becomes the output, `unpacked/`, the files of an archive, and
a journal. The journal's header says what the set is made of, and each entry is a finished source. A
command that was cut off goes on from the journal.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import os
import shlex
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from flexunet_exp.data.dataset import file_hash
from flexunet_exp.data.splits import SPLITS
from flexunet_exp.errors import Hopeless, InputError
from flexunet_exp.system import files, journal
from flexunet_exp.system.journal import Journal

MADE_BY = "flexunet prepare"
RECORD = "prepared.json"  # in the output: how it was made
MANIFEST = "manifest.csv"
JOURNAL, LOCK, SET, UNPACKED = "journal.jsonl", "journal.lock", "set", "unpacked"


class Picture(NamedTuple):
    """A row of the manifest; its first columns are those of a sample table."""

    image: str
    mask: str
    label: str  # the most frequent defect class in the mask; `good` if a crop removed the defect
    source: str
    variant: str
    split: str
    width: int
    height: int
    sha256: str
    mask_sha256: str
    defect_pixels: int
    original: str  # the raw picture, below the folder that was read
    parameters: str  # JSON: the transforms that fired, in their order, and what each drew
    pasted_from: str  # JSON: the sources whose defects were pasted into it


class Stage:
    """An output folder that is being made, from `settings` and from `data` (a digest)."""

    def __init__(self, output: Path, settings: dict[str, Any], journal: Journal):
        self.output, self.settings, self.journal = output, settings, journal
        self.folder = staging_of(output)
        self.set = self.folder / SET
        self.unpacked = self.folder / UNPACKED / (settings["archive"] or "")[:16]
        self.finished = read_record(output)
        self.done: dict[str, list[Picture]] = {}

    def begin(self, data: str) -> None:
        """Begins or continues the set of `data`; InputError if it was begun with anything else."""
        made_of = {"settings": self.settings, "data": data}
        if self.finished:
            check_same(self.output, self.finished, made_of)
            check_whole(self.output)
            return
        header, found = self.journal.header, read_sources(self.journal)
        if header and found:  # without finished sources, another header may be replaced
            check_same(self.folder, header, made_of)
            self.done = {name: rows for name, rows in found if not lost(self.set, rows)}
        if not self.done:  # pictures without an entry may be of other settings
            shutil.rmtree(self.set, ignore_errors=True)
        self.journal.begin(made_of, self.done.items())
        files.remove_parts(self.set)
        for split in SPLITS:
            for kind in ("images", "masks"):
                (self.set / split / kind).mkdir(parents=True, exist_ok=True)

    def keep(self, name: str, pictures: list[Picture]) -> None:
        """Records that the files of a source are in place."""
        self.journal.append([name, pictures])
        self.done[name] = pictures

    def publish(self) -> None:
        """Renames the set to the output, in one step."""
        os.sync()  # a power failure must not leave empty files behind
        os.rename(self.set, self.output)

    def leave(self) -> None:
        """Removes the staging folder, unless it has finished sources of an unfinished set."""
        if (self.output / RECORD).is_file() or not read_sources(self.journal):
            shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def opened(output: Path, settings: dict[str, Any]) -> Iterator[Stage]:
    """The stage of an output folder, locked by this process.

    Raises InputError if the output or the stage was not made by this command, or another process is
    making it.
    """
    folder = staging_of(output)
    check_folders(output, folder)
    folder.mkdir(parents=True, exist_ok=True)
    refusal = (
        f"{output}: another flexunet prepare is making it. Wait for it, or choose another "
        "output=FOLDER"
    )
    with journal.held(folder / JOURNAL, MADE_BY, refusal) as held:
        check_folders(output, folder)  # another process may just have finished
        stage = Stage(output, settings, held)
        try:
            yield stage
        except Hopeless:
            shutil.rmtree(folder)
            raise
        finally:
            stage.leave()


def staging_of(output: Path) -> Path:
    return output.with_name(f".{output.name}.preparing")


def check_folders(output: Path, folder: Path) -> None:
    """Raises InputError if the output or the stage holds files of anything but this command."""
    if output.exists() and not output.is_dir():
        raise InputError(f"output={output} is a file. Choose a folder: output=FOLDER")
    others = [] if read_record(output) else sorted(os.listdir(output) if output.is_dir() else [])
    if others:
        raise InputError(
            f"output={output} holds files that flexunet prepare did not write "
            f"({', '.join(others[:3])}). Nothing was changed in it; choose a new or empty folder."
        )
    ours = {JOURNAL, LOCK, SET, UNPACKED}
    found = set(os.listdir(folder)) if folder.is_dir() and not folder.is_symlink() else set()
    strange = sorted(name for name in found - ours if not files.is_part(name))
    if strange or folder.is_symlink() or folder.is_file():
        raise InputError(
            f"{folder}, where {output.name} would be made, holds files that flexunet prepare did "
            f"not write ({', '.join(strange[:3]) or 'it is not a folder'}). Nothing was changed in "
            "it; choose another output=FOLDER"
        )


def read_record(output: Path) -> dict[str, Any] | None:
    """The record of how a finished data set was made; None if there is no such data set."""
    try:
        return journal.header_of(json.loads((output / RECORD).read_text()), MADE_BY)
    except (OSError, ValueError):
        return None


def read_sources(journal: Journal) -> list[tuple[str, list[Picture]]]:
    """The finished sources; a line that is not a source is skipped."""
    found = []
    for _, entry in journal.entries():
        with suppress(ValueError, TypeError):
            name, pictures = entry
            found.append((name, [Picture(*one) for one in pictures]))
    return found


def lost(folder: Path, pictures: Iterable[Picture]) -> list[str]:
    """The files of these pictures that are gone or changed."""
    pairs = [((one.image, one.sha256), (one.mask, one.mask_sha256)) for one in pictures]
    return [
        file
        for file, expected in itertools.chain.from_iterable(pairs)
        if not (folder / file).is_file() or file_hash(str(folder / file)) != expected
    ]


def check_whole(output: Path) -> None:
    """Raises InputError if a finished data set no longer matches its manifest."""
    with open(output / MANIFEST, newline="") as file:
        gone = lost(output, (Picture(**row) for row in csv.DictReader(file)))  # type: ignore[arg-type]
    if gone:
        raise InputError(
            f"{output}: {len(gone)} file(s) are gone or changed since it was made, such as "
            f"{gone[0]}. Remove the folder yourself (rm -r {shlex.quote(str(output))}) and give "
            "the same command again, or choose another output=FOLDER"
        )


def check_same(folder: Path, found: dict[str, Any], made_of: dict[str, Any]) -> None:
    """Raises InputError with the settings and data in which a folder differs from `made_of`."""
    old = {**found["settings"], "data": found.get("data")}
    new = {**made_of["settings"], "data": made_of["data"]}
    differing = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if differing:
        raise InputError(
            f"{folder} was made with {listed(old, differing)}; this command has "
            f"{listed(new, differing)}. Choose another output=FOLDER, or remove the folder "
            f"yourself: rm -r {shlex.quote(str(folder))}"
        )


def listed(settings: dict[str, Any], keys: Iterable[str]) -> str:
    return ", ".join(described(key, settings.get(key)) for key in keys)


def described(key: str, value: Any) -> str:
    words = {"data": "pictures, masks or split", "code": "version of the program"}
    text = json.dumps(value)
    short = text if len(text) < 60 else f"of digest {hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return f"{words.get(key, key)} {short}"
