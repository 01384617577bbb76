"""What earlier scans found in files that have not changed since then.

A file is known by its size, its modification time in nanoseconds and its inode, as are all files of
a mask that is a folder. What was found is kept in an SQLite file of `cache_dir`, one for each data
folder and state of the code that reads. A file that was changed less than RACY before it was read
is not kept: a second change within the clock's tick would not show.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from flexunet_exp.data.folders.listing import pictures_in

log = logging.getLogger(__name__)

Facts = TypeVar("Facts")
Packed = tuple[Any, bytes]  # what JSON holds, and one array's bytes

RACY = 2 * 10**9  # nanoseconds
PATTERN = "scan_*.sqlite"
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS facts (kind TEXT, path TEXT, stamp TEXT, said TEXT, array BLOB,"
    " PRIMARY KEY (kind, path)) WITHOUT ROWID"
)
OF_A_FILE = "path LIKE '/%'"  # facts of no file have a name in its place


@dataclass(frozen=True)
class Form(Generic[Facts]):
    """How facts are written down and read again."""

    pack: Callable[[Facts], Packed]
    unpack: Callable[[Any, bytes], Facts]


@dataclass(frozen=True)
class KnownFiles:
    """The facts that one SQLite file keeps; None: nothing is known, and nothing is kept.

    Where it is `read_only`, what is known is used, and nothing is written.
    """

    file: Path | None = None
    read_only: bool = False

    @classmethod
    def of(
        cls, cache_dir: Path, folder: Path, code: Sequence[Any], read_only: bool = False
    ) -> KnownFiles:
        """Those of a data folder, as `code` reads it."""
        key = json.dumps([str(folder), *code], sort_keys=True)
        name = PATTERN.replace("*", hashlib.sha256(key.encode()).hexdigest()[:16])
        return cls(cache_dir / name, read_only)

    def shelf(self, what: Sequence[Any], form: Form[Facts]) -> Shelf[Facts]:
        """The facts of one kind: `what` says all that decides them beside the files."""
        kind = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
        return Shelf(self.file, kind, form, self.read_only)


@dataclass
class Shelf(Generic[Facts]):
    """Facts of one kind, by the path of a file or a folder of files.

    `note` may be called in threads; `write` afterwards, once.
    """

    file: Path | None
    kind: str
    form: Form[Facts]
    read_only: bool = False
    known: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)
    fresh: list[tuple[str, str, Facts]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.file and os.path.exists(self.file):
            try:
                self.known = {path: rest for path, *rest in self.rows()}  # type: ignore[misc]
                self.change(os.utime)  # the time of the last use
            except sqlite3.OperationalError as error:  # such as a lock of another process
                log.warning("%s cannot be read (%s): all files are read.", self.file, error)
            except sqlite3.DatabaseError as error:
                log.warning("%s is damaged (%s): it is made anew.", self.file, error)
                self.change(os.unlink)

    def change(self, how: Callable[[Path], None]) -> None:
        """Changes the file where it may be changed: its folder may be of another user."""
        if self.file and not self.read_only:
            with suppress(OSError):
                how(self.file)

    def rows(self) -> Iterator[tuple[str, str, str, bytes]]:
        with closing(sqlite3.connect(self.file, timeout=30)) as store:  # type: ignore[arg-type]
            asked = "SELECT path, stamp, said, array FROM facts WHERE kind = ?"
            yield from store.execute(asked, (self.kind,))

    def recall(self, path: str, now: str | None = None) -> Facts | None:
        """What is known of a file or a folder of files; None where it changed, or nothing is.

        `now` is the stamp of what is no file.
        """
        then, said, array = self.known.get(path, ("", "", b""))
        if not then or then != (stamp(path) if now is None else now):
            return None
        try:
            return self.form.unpack(json.loads(said), array)
        except (ValueError, TypeError, KeyError, IndexError):  # the file may be from anywhere
            return None

    def note(self, path: str, read: Callable[[], Facts | None]) -> Facts | None:
        """What `read` finds, noted for `write` where the file at `path` stays as it is."""
        before = stamp(path) if path and self.file else ""
        facts = read()
        if facts is not None and before and before == stamp(path):
            self.fresh.append((path, before, facts))
        return facts

    def remembered(self, name: str, now: str, make: Callable[[], Facts]) -> Facts:
        """What was made under a name from what `now` is the digest of; made where it is unknown."""
        if (known := self.recall(name, now)) is not None:
            return known
        made = make()
        self.fresh.append((name, now, made))
        self.write()
        return made

    def write(self) -> None:
        """Keeps what was read. A file that cannot be written is a warning."""
        if not self.fresh or self.file is None or self.read_only:
            return
        rows = ((self.kind, path, then, *packed) for path, then, packed in self.packed())
        insert = "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?)"
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.file, timeout=30)) as store, store:
                store.execute(SCHEMA)
                store.executemany(insert, rows)
        except (OSError, sqlite3.Error) as error:
            log.warning(
                "What was read of the pictures cannot be kept in %s (%s): the next scan reads them "
                "again. Name another folder with cache_dir=FOLDER.",
                self.file,
                error,
            )
        self.fresh.clear()

    def packed(self) -> Iterator[tuple[str, str, tuple[str, bytes]]]:
        for path, then, facts in self.fresh:
            said, array = self.form.pack(facts)
            yield path, then, (json.dumps(said), array)


class Summary(NamedTuple):
    """What a file of facts holds of files; facts of other names, such as of pairs, do not count."""

    folder: str  # in which all the files lie
    files: int
    bytes: int
    last_use: float  # seconds since 1970


def kept_in(cache_dir: Path) -> list[Path]:
    """The files of facts in a folder."""
    return sorted(cache_dir.glob(PATTERN))


def summary(file: Path) -> Summary:
    """What a file of facts holds; no files where it is damaged."""
    state = file.stat()
    folder, number = "?", 0
    foreign = sqlite3.Error, ValueError, TypeError  # the file may be from anywhere
    with suppress(*foreign), closing(sqlite3.connect(file, timeout=30)) as store:
        asked = f"SELECT min(path), max(path), count(DISTINCT path) FROM facts WHERE {OF_A_FILE}"
        first, last, number = store.execute(asked).fetchone()
        folder = os.path.commonpath([first, last]) if number else "?"
    return Summary(folder, number, state.st_size, state.st_mtime)


def stamp(path: str) -> str:
    """Size, modification time and inode of a file, or of the pictures in a folder.

    Empty where the file is missing or was changed within the last moment.
    """
    try:
        found = [os.stat(path)]
        inner = pictures_in(Path(path)) if stat.S_ISDIR(found[0].st_mode) else []
        found += map(os.stat, inner)
    except OSError:
        return ""
    if max(one.st_mtime_ns for one in found) > time.time_ns() - RACY:
        return ""
    states = (f"{one.st_size} {one.st_mtime_ns} {one.st_ino}" for one in found)
    return "\n".join([*map(str, inner), *states])
