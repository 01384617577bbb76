"""The outbox of a run: the entries for the store, in the run folder until the store has them all.

`journal.jsonl` has one entry a line; it is cut back only when a run goes on from an earlier state.
`journal.json` names the store, and counts the bytes of the entries that the store has. The process
that writes or uploads an outbox holds its lock. Names and contents of both files are a promise: run
folders of earlier versions have them.
"""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from flexunet_exp.errors import InputError
from flexunet_exp.system import locks
from flexunet_exp.system.files import replace_file
from flexunet_exp.tracking.entries import Entry, from_line, to_line

ENTRIES = "journal.jsonl"
FACTS = "journal.json"
EXAMPLE = "journal_example.npy"  # the picture that the stored model carries


E = TypeVar("E", bound=Entry)


class Held(InputError):
    """Another process writes or uploads this outbox at this moment."""


class Placed(NamedTuple):
    """An entry, and the first byte of its line and of the next one."""

    start: int
    end: int
    entry: Entry


@dataclass
class Facts:
    """The store and experiment of an outbox, and how much of the outbox was sent.

    `key` finds the run in the store where the answer to its creation was lost. `refused` are the
    positions of the entries that the store refused.
    """

    uri: str
    experiment: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    run_id: str | None = None
    delivered: int = 0  # bytes
    refused: list[int] = field(default_factory=list)


class Outbox:
    """The outbox of one run folder, held until `close`; a new one is begun with `facts`.

    Removes a last line that a kill cut off. Raises Held where another process holds the outbox, and
    InputError where a file of it is damaged or is a link: a run folder may come from anyone.
    """

    def __init__(self, folder: Path, facts: Facts | None = None):
        self.folder = folder
        self.facts = facts if facts and not exists(folder) else read_facts(folder)
        self.file = opened(folder / ENTRIES)
        try:
            locks.acquire(self.file)
        except locks.Locked as error:
            self.file.close()
            raise Held(f"{folder / ENTRIES} is in use by another process.") from error
        if exists(folder):
            self.facts = read_facts(folder)  # as the last holder left them
        self.rewind((folder / ENTRIES).read_bytes().rfind(b"\n") + 1)

    @property
    def length(self) -> int:
        """Bytes of the entries."""
        return os.fstat(self.file.fileno()).st_size

    def append(self, entries: Iterable[Entry]) -> None:
        """Adds all entries, written to the disk, or none of them where that fails."""
        lines = memoryview("".join(map(to_line, entries)).encode())
        before = self.length
        try:
            while lines:
                lines = lines[self.file.write(lines) :]
            os.fsync(self.file.fileno())
        except BaseException:
            self.file.truncate(before)
            raise

    def rewind(self, length: int) -> None:
        """Removes what was added after the outbox had this length."""
        length = min(length, self.length)  # a longer one would add zeros
        self.file.truncate(length)  # first, since it needs no space on the disk
        self.facts.delivered = min(self.facts.delivered, length)
        self.facts.refused = [start for start in self.facts.refused if start < length]
        self.keep_facts()

    def left(self) -> Iterator[Placed]:
        """The entries that were not sent yet."""
        yield from self.entries(self.facts.delivered)

    def refused(self) -> Iterator[Placed]:
        """The entries that the store refused."""
        for start in list(self.facts.refused):
            yield from islice(self.entries(start), 1)

    def last(self, kind: type[E]) -> E | None:
        """The last entry of a kind."""
        found = [placed.entry for placed in self.entries(0) if isinstance(placed.entry, kind)]
        return found[-1] if found else None

    def entries(self, start: int) -> Iterator[Placed]:
        with open(self.folder / ENTRIES, "rb") as file:
            file.seek(start)
            for line in file:
                yield Placed(start, start + len(line), self.entry(line, start))
                start += len(line)

    def entry(self, line: bytes, start: int) -> Entry:
        try:
            return from_line(line)
        except ValueError as error:
            where = f"at byte {start}: {error}"
            raise InputError(damaged(self.folder / ENTRIES, where)) from error

    def num_left(self) -> int:
        """The number of entries that the store does not have."""
        return len(self.facts.refused) + sum(1 for _ in self.left())

    def record_sent(self, start: int, end: int, is_refused: bool) -> None:
        """Records that an entry was sent, and whether the store refused it."""
        others = [position for position in self.facts.refused if position != start]
        self.facts.refused = others + [start] * is_refused
        self.facts.delivered = max(self.facts.delivered, end)
        self.keep_facts()

    def record_run(self, run_id: str) -> None:
        self.facts.run_id = run_id
        self.keep_facts()

    def keep_facts(self) -> None:
        replace_file(self.folder / FACTS, json.dumps(asdict(self.facts)).encode())

    def close(self) -> None:
        self.file.close()

    def remove(self) -> None:
        """Removes an outbox that is not needed any more."""
        (self.folder / FACTS).unlink(missing_ok=True)  # first: without it there is no outbox
        for name in (ENTRIES, EXAMPLE):
            (self.folder / name).unlink(missing_ok=True)
        self.close()


def exists(folder: Path) -> bool:
    return (folder / FACTS).is_file()


def run_id_in(folder: Path) -> str | None:
    """The id of the run whose outbox lies in a folder; None before the store has the run."""
    return read_facts(folder).run_id if exists(folder) else None


def read_facts(folder: Path) -> Facts:
    try:
        facts = Facts(**json.loads((folder / FACTS).read_text()))
        texts = (facts.uri, facts.experiment, facts.key, facts.run_id or "")
        positions = (facts.delivered, *facts.refused)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(damaged(folder / FACTS, str(error))) from error
    if all(isinstance(text, str) for text in texts) and all(map(is_position, positions)):
        return facts
    raise InputError(damaged(folder / FACTS, "expected texts, and positions of entries"))


def is_position(value: Any) -> bool:
    return isinstance(value, int) and value >= 0


def damaged(path: Path, how: str) -> str:
    return (
        f"{path} is damaged ({how}), so the outbox cannot be uploaded. The run folder itself is "
        f"whole: every command takes run=FOLDER. To give the outbox up, remove {path}"
    )


def opened(path: Path) -> IO[bytes]:
    """The file, opened unbuffered; made where it is missing."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    try:
        return os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise InputError(damaged(path, "it is a link")) from error
