"""What is done: a line a finished picture, so that whatever cuts the work off, it goes on.

The first line says of which network and settings the results are. A picture's line is appended when
its files are in place; a later line of the same picture replaces an earlier one.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from flexunet_exp.commands.infer.outputs import Output
from flexunet_exp.errors import InputError
from flexunet_exp.prediction.regions import Region
from flexunet_exp.system import files
from flexunet_exp.system.locks import locked

log = logging.getLogger(__name__)

RECORDS, LOCK = "records.jsonl", "records.lock"
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

    def line(self) -> bytes:
        return f"{json.dumps(self._asdict())}\n".encode()

    @classmethod
    def of_line(cls, line: bytes) -> Record:
        """Raises ValueError or TypeError where the line is no record."""
        fields = json.loads(line)
        record = cls(**fields)
        if Path(record.name).is_absolute() or ".." in Path(record.name).parts:
            raise ValueError("a name that leads out of the output folder")
        return record._replace(
            stamp=Stamp(*record.stamp), regions=[Region(*values) for values in record.regions]
        )


class Entry(NamedTuple):
    """A finished picture, and where its line begins."""

    file: str
    name: str
    stamp: Stamp
    offset: int


class Journal:
    """The open records of an output folder; `entries` are the pictures that they hold."""

    def __init__(self, path: Path, entries: dict[Path, Entry]):
        self.entries = entries
        self.lock = Lock()
        self.file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW)

    def append(self, record: Record) -> None:
        """Keeps a record; threads may call it."""
        line = record.line()
        with self.lock:
            offset = os.lseek(self.file, 0, os.SEEK_END)
            written = os.write(self.file, line)
            while written < len(line):  # a disk that is full takes a part, then raises
                written += os.write(self.file, line[written:])
            self.entries[Path(record.path)] = entry(record, offset)

    def record(self, entry: Entry) -> Record:
        with open(self.file, "rb", closefd=False) as lines:
            lines.seek(entry.offset)
            return Record.of_line(lines.readline())

    def close(self) -> None:
        os.close(self.file)


def entry(record: Record, offset: int) -> Entry:
    return Entry(record.file, record.name, record.stamp, offset)


@contextmanager
def opened(output: Output, made_of: dict[str, Any], overwrite: bool) -> Iterator[Journal]:
    """The records of an output folder, which is made if need be, and this process's meanwhile.

    `made_of` says of which run and settings its results are. Raises InputError where the folder
    holds something else, another process works in it, or it holds results of something else and
    `overwrite` is false; if true, these are removed.
    """
    path = output.folder / RECORDS
    check_folder(output.folder)
    output.folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(path, wait=False):
            files.remove_parts(output.folder)
            prepare(path, output, made_of, overwrite)
            journal = Journal(path, read_entries(path))
            try:
                yield journal
            finally:
                journal.close()
    except BlockingIOError as error:
        raise InputError(
            f"{output.folder}: another flexunet infer is writing there. Wait for it, or choose "
            "another output=FOLDER."
        ) from error


def check_folder(folder: Path) -> None:
    """Raises InputError unless a folder is missing, empty, or made by this command."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output={folder} is a file. Choose a folder: output=FOLDER")
    links = [name for name in (RECORDS, LOCK) if (folder / name).is_symlink()]
    others = visible(folder) - {LOCK}
    if links or (others and read_header(folder / RECORDS) is None):
        shown = ", ".join(sorted(links or others)[:3])
        raise InputError(
            f"output={folder} holds what flexunet infer did not make ({shown}). Nothing was "
            "changed in it; choose a new or empty folder."
        )


def visible(folder: Path) -> set[str]:
    names = os.listdir(folder) if folder.is_dir() else []
    return {name for name in names if name[0] != "."}


def read_header(path: Path) -> dict[str, Any] | None:
    """Of what the results are; None where there is no such line."""
    try:
        with open(path, "rb") as lines:
            header = json.loads(lines.readline())
        return header if header["made_by"] == MADE_BY and header["settings"] | {} else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def prepare(path: Path, output: Output, made_of: dict[str, Any], overwrite: bool) -> None:
    """Has the records begin with `made_of`."""
    header = read_header(path)
    if header is not None and is_same(header, made_of):
        return
    if header is not None and not overwrite:
        raise InputError(conflict(output.folder, header, made_of))
    for old in read_entries(path).values() if header is not None else ():
        output.remove(old.name)
    line = json.dumps({"made_by": MADE_BY, **made_of}) + "\n"
    files.replace_file(path, line.encode())


def is_same(header: dict[str, Any], made_of: dict[str, Any]) -> bool:
    """Whether the results are of the same network and settings, by whatever name it was called."""
    return all(header.get(key) == made_of[key] for key in made_of if key != "run")


def conflict(folder: Path, header: dict[str, Any], made_of: dict[str, Any]) -> str:
    old, new = header["settings"], made_of["settings"]
    differing = [key for key in new if old.get(key) != new[key]]

    def shown(run: Any, settings: dict[str, Any]) -> str:
        values = ", ".join(f"{key}={settings.get(key)}" for key in differing)
        return f"{run} ({values})" if values else str(run)

    again = " as it is now" if header.get("run") == made_of["run"] and not differing else ""
    return (
        f"output={folder} holds the results of {shown(header.get('run'), old)}; this is "
        f"{shown(made_of['run'], new)}{again}. Choose another output=FOLDER, or remove those "
        "results with overwrite=true"
    )


def read_entries(path: Path) -> dict[Path, Entry]:
    """The finished pictures, each by its last line.

    A last line whose writer was killed is cut off; another one that is no record is passed over.
    """
    entries: dict[Path, Entry] = {}
    with open(path, "rb") as lines:
        offset = len(lines.readline())
        for number, line in enumerate(lines, start=2):
            if not line.endswith(b"\n"):
                os.truncate(path, offset)
                break
            try:
                record = Record.of_line(line)
                entries[Path(record.path)] = entry(record, offset)
            except (ValueError, TypeError):
                log.warning("%s: line %d is no record; its picture is done again.", path, number)
            offset += len(line)
    return entries
