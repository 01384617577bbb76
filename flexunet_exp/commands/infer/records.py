"""The finished pictures of an output folder, from which a command that was cut off goes on.

`records.jsonl` is a journal. Its header names the network and the settings of the results. Each
entry is a finished picture; a later entry of the same picture replaces an earlier one, or says that
nothing is kept of it any more.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from flexunet_exp.commands.infer.outputs import Output
from flexunet_exp.decisions.file import one_form
from flexunet_exp.errors import InputError
from flexunet_exp.prediction.regions import Region
from flexunet_exp.system import files, journal
from flexunet_exp.system.journal import Journal

log = logging.getLogger(__name__)

RECORDS, LOCK = "records.jsonl", "records.lock"
REMOVED = "removed"  # the key of the path in an entry of a picture of which nothing is kept
MADE_BY = "flexunet infer"


class Stamp(NamedTuple):
    """The state of a picture's file."""

    size: int  # bytes
    mtime_ns: int


class Record(NamedTuple):
    """What is kept of a finished picture."""

    path: str  # absolute
    file: str  # as the tables show it
    name: str  # of the files made of it
    stamp: Stamp
    width: int
    height: int
    anomaly: float  # the highest 1 - p(background)
    regions: list[Region]
    margin: float | None = None  # of a decision: at least 0 where the picture is stopped
    uncertainty: float | None = None  # the mean of the pixels that are predicted as a defect
    depth: int = 1  # slices, of a volume
    slices: Sequence[int] = ()  # of a volume, the slice of each region
    video: str = ""  # of a volume, its format and frames a second; empty if there is none

    @classmethod
    def of(cls, fields: Any) -> Record:
        """The record of a journal's entry; ValueError or TypeError if the entry is not a record."""
        record = cls(**fields)
        if Path(record.name).is_absolute() or ".." in Path(record.name).parts:
            raise ValueError("a name that leads out of the output folder")
        return record._replace(
            stamp=Stamp(*record.stamp), regions=[Region(*values) for values in record.regions]
        )


class Entry(NamedTuple):
    """A finished picture, and where its line begins in the journal."""

    file: str
    name: str
    stamp: Stamp
    offset: int
    video: str


class Records:
    """The open records of an output folder; `entries` are the pictures that they hold."""

    def __init__(self, journal: Journal):
        self.journal = journal
        self.entries = read_entries(journal)

    def append(self, record: Record) -> None:
        """Keeps a record; threads may call it."""
        offset = self.journal.append(record._asdict())
        self.entries[Path(record.path)] = entry(record, offset)

    def remove(self, path: Path) -> None:
        """Takes the record of a picture back."""
        self.journal.append({REMOVED: str(path)})
        del self.entries[path]

    def has_other(self, path: Path, state: Stamp | None) -> bool:
        """Whether the record of a picture is of another state of its file."""
        entry = self.entries.get(path)
        return entry is not None and entry.stamp != state

    def record(self, entry: Entry) -> Record:
        return Record.of(self.journal.read(entry.offset))


def entry(record: Record, offset: int) -> Entry:
    return Entry(record.file, record.name, record.stamp, offset, record.video)


@contextmanager
def opened(output: Output, made_of: dict[str, Any], overwrite: bool) -> Iterator[Records]:
    """The records of an output folder, which is made if missing and locked by this process.

    `made_of` holds the run and the settings that decide its results. Raises InputError if the
    folder holds something else, another process works in it, or it holds other results and
    `overwrite` is false; if true, these are removed.
    """
    check_folder(output.folder)
    output.folder.mkdir(parents=True, exist_ok=True)
    refusal = (
        f"{output.folder}: another flexunet infer is writing there. Wait for it, or choose "
        "another output=FOLDER."
    )
    with journal.held(output.folder / RECORDS, MADE_BY, refusal) as held:
        files.remove_parts(output.folder)
        begin(held, output, made_of, overwrite)
        yield Records(held)


def check_folder(folder: Path) -> None:
    """Raises InputError unless a folder is missing, empty, or made by this command."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output={folder} is a file. Choose a folder: output=FOLDER")
    links = [name for name in (RECORDS, LOCK) if (folder / name).is_symlink()]
    others = visible(folder) - {LOCK}
    if links or (others and journal.read_header(folder / RECORDS, MADE_BY) is None):
        shown = ", ".join(sorted(links or others)[:3])
        raise InputError(
            f"output={folder} holds files that flexunet infer did not write ({shown}). Nothing was "
            "changed in it; choose a new or empty folder."
        )


def visible(folder: Path) -> set[str]:
    names = os.listdir(folder) if folder.is_dir() else []
    return {name for name in names if name[0] != "."}


def begin(held: Journal, output: Output, made_of: dict[str, Any], overwrite: bool) -> None:
    """Writes the header `made_of`; removes other results, or raises InputError for them."""
    header = held.header
    if header is not None and is_same(header, made_of):
        return
    if header is not None and not overwrite:
        raise InputError(conflict(output.folder, header, made_of))
    for old in read_entries(held).values() if header is not None else ():
        output.remove(old.name)
    held.begin(made_of)


def is_same(header: dict[str, Any], made_of: dict[str, Any]) -> bool:
    """Whether the results are of the same network and settings, whatever the run was called."""
    if one_form(header["settings"]) != one_form(made_of["settings"]):
        return False
    others = made_of.keys() - {"run", "settings"}
    return all(header.get(key) == made_of[key] for key in others)


def conflict(folder: Path, header: dict[str, Any], made_of: dict[str, Any]) -> str:
    old, new = header["settings"], made_of["settings"]
    before, now = one_form(old), one_form(new)
    differing = [key for key in {**new, **old} if before.get(key) != now.get(key)]

    def shown(run: Any, settings: dict[str, Any]) -> str:
        values = ", ".join(f"{key}={settings.get(key, 'not given')}" for key in differing)
        return f"{run} ({values})" if values else str(run)

    again = " as it is now" if header.get("run") == made_of["run"] and not differing else ""
    return (
        f"output={folder} holds the results of {shown(header.get('run'), old)}; this command "
        f"predicts with {shown(made_of['run'], new)}{again}. Choose another output=FOLDER, or "
        "remove those results with overwrite=true"
    )


def significant(value: Any) -> Any:
    """A float rounded to six significant digits; any other value unchanged."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def rounded(found: Sequence[Region]) -> list[Region]:
    return [Region._make(map(significant, region)) for region in found]


def read_entries(journal: Journal) -> dict[Path, Entry]:
    """The finished pictures, each by its last entry; an entry that is not a record is skipped."""
    entries: dict[Path, Entry] = {}
    for number, (offset, fields) in enumerate(journal.entries(), start=2):
        if removed := removed_by(fields):
            entries.pop(removed, None)
            continue
        try:
            record = Record.of(fields)
        except (ValueError, TypeError):
            log.warning(
                "%s: line %d is not a record; its picture is predicted again.",
                journal.path,
                number,
            )
        else:
            entries[Path(record.path)] = entry(record, offset)
    return entries


def removed_by(fields: Any) -> Path | None:
    """The picture of which nothing is kept since this entry; None where it is another entry."""
    path = fields.get(REMOVED) if isinstance(fields, dict) else None
    return Path(path) if isinstance(path, str) else None
