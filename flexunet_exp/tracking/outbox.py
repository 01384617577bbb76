"""What the store is to be told of a run, in the run's folder until the store has all of it.

`journal.jsonl` has an entry a line, and is cut back only for a run that goes on from before them;
`journal.json` says which store they are for and how many bytes of them it has. The process that
writes or delivers a journal holds its lock.
"""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

from flexunet_exp.errors import InputError
from flexunet_exp.system import locks
from flexunet_exp.system.files import replace_file

ENTRIES = "journal.jsonl"
FACTS = "journal.json"
EXAMPLE = "journal_example.npy"  # the picture that the stored model carries


class Held(InputError):
    """Another process writes or delivers this journal at this moment."""


@dataclass
class Facts:
    """The store and experiment a journal is for, and how far it was delivered.

    `key` finds the run in the store if the answer to its creation was lost; `refused` are the
    positions of the entries that the store would not take.
    """

    uri: str
    experiment: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    run_id: str | None = None
    delivered: int = 0
    refused: list[int] = field(default_factory=list)


class Journal:
    """The journal of one run folder, held until `close`; begun with `facts` if there is none.

    A line that a kill cut off is removed. Raises Held where another process holds the journal and
    InputError where a file of it is damaged, or is a link: a run folder may come from anyone.
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
        """In bytes, of whole entries."""
        return os.fstat(self.file.fileno()).st_size

    def append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Adds entries, on the disk when this returns; none of them where that fails."""
        lines = memoryview("".join(json.dumps(entry) + "\n" for entry in entries).encode())
        before = self.length
        try:
            while lines:
                lines = lines[self.file.write(lines) :]
            os.fsync(self.file.fileno())
        except BaseException:
            self.file.truncate(before)
            raise

    def rewind(self, length: int) -> None:
        """Forgets what was added after the journal had this length."""
        length = min(length, self.length)  # never filled up with zeros
        self.file.truncate(length)  # first: it needs no space on the disk
        self.facts.delivered = min(self.facts.delivered, length)
        self.facts.refused = [start for start in self.facts.refused if start < length]
        self.keep_facts()

    def left(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Start, end and content of each entry that was not tried yet."""
        yield from self.entries(self.facts.delivered)

    def refused(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Start, end and content of each entry that the store would not take."""
        for start in list(self.facts.refused):
            yield from islice(self.entries(start), 1)

    def last(self, what: str) -> dict[str, Any] | None:
        """The last entry of a kind."""
        found = [entry for _, _, entry in self.entries(0) if entry["what"] == what]
        return found[-1] if found else None

    def entries(self, start: int) -> Iterator[tuple[int, int, dict[str, Any]]]:
        with open(self.folder / ENTRIES, "rb") as file:
            file.seek(start)
            for line in file:
                yield start, start + len(line), self.entry(line, start)
                start += len(line)

    def entry(self, line: bytes, start: int) -> dict[str, Any]:
        try:
            content = json.loads(line)
            if isinstance(content["what"], str):
                return content
        except (ValueError, TypeError, KeyError):
            pass
        raise InputError(damaged(self.folder / ENTRIES, f"at byte {start}"))

    def num_left(self) -> int:
        """Entries that the store has not got."""
        return len(self.facts.refused) + sum(1 for _ in self.left())

    def note(self, start: int, end: int, is_refused: bool) -> None:
        """Keeps how the delivery of an entry went."""
        others = [position for position in self.facts.refused if position != start]
        self.facts.refused = others + [start] * is_refused
        self.facts.delivered = max(self.facts.delivered, end)
        self.keep_facts()

    def note_run(self, run_id: str) -> None:
        self.facts.run_id = run_id
        self.keep_facts()

    def keep_facts(self) -> None:
        replace_file(self.folder / FACTS, json.dumps(asdict(self.facts)).encode())

    def close(self) -> None:
        self.file.close()

    def remove(self) -> None:
        """Ends a journal that nobody needs any more."""
        (self.folder / FACTS).unlink(missing_ok=True)  # first: without it there is no journal
        for name in (ENTRIES, EXAMPLE):
            (self.folder / name).unlink(missing_ok=True)
        self.close()


def exists(folder: Path) -> bool:
    return (folder / FACTS).is_file()


def run_id_in(folder: Path) -> str | None:
    """The run in the store whose journal lies in a folder; None where the store has none yet."""
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
        f"{path} is damaged ({how}), so what the journal holds cannot be delivered. The run folder "
        f"itself is whole: every command takes run=FOLDER. To give the journal up, remove {path}"
    )


def opened(path: Path) -> IO[bytes]:
    """The file, made if need be, unbuffered."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    try:
        return os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise InputError(damaged(path, "it is a link")) from error
