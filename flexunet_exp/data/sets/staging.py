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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from flexunet_exp.data.dataset import file_hash
from flexunet_exp.data.splits import SPLITS
from flexunet_exp.errors import Hopeless, InputError
from flexunet_exp.system import files, journal
from flexunet_exp.system.journal import Journal

MANIFEST = "manifest.csv"
JOURNAL, LOCK, SET, UNPACKED = "journal.jsonl", "journal.lock", "set", "unpacked"


class Row(Protocol):
    """A row of a manifest, a NamedTuple: a picture of the set, its mask, and their hashes."""

    @property
    def image(self) -> str: ...
    @property
    def mask(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def mask_sha256(self) -> str: ...


class Kind(NamedTuple):
    """A kind of data set: the command that makes it, its record, and a row of its manifest."""

    made_by: str  # flexunet prepare
    record: str  # prepared.json: a file in the output that says how it was made
    row: type[Any]


class Stage:
    """An output folder that is being made, from `settings` and from `data` (a digest)."""

    def __init__(self, output: Path, kind: Kind, settings: dict[str, Any], journal: Journal):
        self.output, self.kind, self.settings, self.journal = output, kind, settings, journal
        self.folder = staging_of(output)
        self.set = self.folder / SET
        self.unpacked = self.folder / UNPACKED / (settings.get("archive") or "")[:16]
        self.finished = read_record(output, kind)
        self.done: dict[str, list[Any]] = {}

    def begin(self, data: str) -> None:
        """Begins or continues the set of `data`; InputError if it was begun with anything else."""
        made_of = {"settings": self.settings, "data": data}
        if self.finished:
            check_same(self.output, self.finished, made_of)
            check_whole(self.output, self.kind.row)
            return
        header, found = self.journal.header, read_sources(self.journal, self.kind.row)
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

    def keep(self, name: str, pictures: Sequence[Row]) -> None:
        """Records that the files of a source are in place."""
        self.journal.append([name, pictures])
        self.done[name] = list(pictures)

    def publish(self) -> None:
        """Renames the set to the output, in one step."""
        os.sync()  # a power failure must not leave empty files behind
        os.rename(self.set, self.output)

    def leave(self) -> None:
        """Removes the staging folder, unless it has finished sources of an unfinished set."""
        if (self.output / self.kind.record).is_file() or not read_sources(
            self.journal, self.kind.row
        ):
            shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def opened(output: Path, kind: Kind, settings: dict[str, Any]) -> Iterator[Stage]:
    """The stage of an output folder, locked by this process.

    Raises InputError if the output or the stage was not made by this command, or another process is
    making it.
    """
    folder = staging_of(output)
    check_folders(output, folder, kind)
    folder.mkdir(parents=True, exist_ok=True)
    refusal = (
        f"{output}: another {kind.made_by} is making it. Wait for it, or choose another "
        "output=FOLDER"
    )
    with journal.held(folder / JOURNAL, kind.made_by, refusal) as held:
        check_folders(output, folder, kind)  # another process may just have finished
        stage = Stage(output, kind, settings, held)
        try:
            yield stage
        except Hopeless:
            shutil.rmtree(folder)
            raise
        finally:
            stage.leave()


def staging_of(output: Path) -> Path:
    return output.with_name(f".{output.name}.preparing")


def check_folders(output: Path, folder: Path, kind: Kind) -> None:
    """Raises InputError if the output or the stage holds files of anything but this command."""
    if output.exists() and not output.is_dir():
        raise InputError(f"output={output} is a file. Choose a folder: output=FOLDER")
    others = (
        [] if read_record(output, kind) else sorted(os.listdir(output) if output.is_dir() else [])
    )
    if others:
        raise InputError(
            f"output={output} holds files that {kind.made_by} did not write "
            f"({', '.join(others[:3])}). Nothing was changed in it; choose a new or empty folder."
        )
    ours = {JOURNAL, LOCK, SET, UNPACKED}
    found = set(os.listdir(folder)) if folder.is_dir() and not folder.is_symlink() else set()
    strange = sorted(name for name in found - ours if not files.is_part(name))
    if strange or folder.is_symlink() or folder.is_file():
        raise InputError(
            f"{folder}, where {output.name} would be made, holds files that {kind.made_by} did "
            f"not write ({', '.join(strange[:3]) or 'it is not a folder'}). Nothing was changed in "
            "it; choose another output=FOLDER"
        )


def read_record(output: Path, kind: Kind) -> dict[str, Any] | None:
    """The record of how a finished data set was made; None if there is no such data set."""
    try:
        return journal.header_of(json.loads((output / kind.record).read_text()), kind.made_by)
    except (OSError, ValueError):
        return None


def read_sources(journal: Journal, row: type[Any]) -> list[tuple[str, list[Row]]]:
    """The finished sources; a line that is not a source is skipped."""
    found = []
    for _, entry in journal.entries():
        with suppress(ValueError, TypeError):
            name, pictures = entry
            found.append((name, [row(*one) for one in pictures]))
    return found


def lost(folder: Path, pictures: Iterable[Row]) -> list[str]:
    """The files of these pictures that are gone or changed."""
    pairs = [((one.image, one.sha256), (one.mask, one.mask_sha256)) for one in pictures]
    return [
        file
        for file, expected in itertools.chain.from_iterable(pairs)
        if not (folder / file).is_file() or file_hash(str(folder / file)) != expected
    ]


def check_whole(output: Path, row: type[Any]) -> None:
    """Raises InputError if a finished data set no longer matches its manifest."""
    with open(output / MANIFEST, newline="") as file:
        gone = lost(output, (row(**one) for one in csv.DictReader(file)))
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
