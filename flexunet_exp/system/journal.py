"""A journal: an append-only file of JSON lines, with which a command goes on after a kill.

The header, the first line, names the command and its inputs. An entry is appended after the files
that it describes are written. One process at a time holds a journal.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flexunet_exp.errors import InputError
from flexunet_exp.system import files, locks


class Journal:
    """The journal at `path` of the command `made_by`; threads may append to it."""

    def __init__(self, path: Path, made_by: str):
        self.path, self.made_by = path, made_by
        self.appending = threading.Lock()

    @property
    def header(self) -> dict[str, Any] | None:
        return read_header(self.path, self.made_by)

    def begin(self, made_of: dict[str, Any], entries: Iterable[Any] = ()) -> None:
        """Replaces the journal by this header and these entries."""
        contents = [{"made_by": self.made_by, **made_of}, *entries]
        files.replace_file(self.path, b"".join(map(line_of, contents)))

    def append(self, entry: Any) -> int:
        """Appends an entry; returns the byte at which its line begins."""
        with self.appending, open(self.path, "ab", opener=files.through_no_link) as file:
            offset = file.tell()
            file.write(line_of(entry))
        return offset

    def read(self, offset: int) -> Any:
        """The entry whose line begins at this byte."""
        with open(self.path, "rb") as file:
            file.seek(offset)
            return json.loads(file.readline())

    def entries(self) -> Iterator[tuple[int, Any]]:
        """Offset and content of each entry; None for a line that is not JSON.

        Yields nothing where the file is missing.
        """
        if not self.path.is_file():
            return
        with open(self.path, "rb") as file:
            offset = len(file.readline())
            for line in file:
                yield offset, content_of(line)
                offset += len(line)


@contextmanager
def held(path: Path, made_by: str, refusal: str) -> Iterator[Journal]:
    """Holds the journal at `path`, and removes a last line that a kill cut off.

    Raises InputError with the `refusal` where another process holds it.
    """
    try:
        with locks.temporary(lock_of(path)):
            if read_header(path, made_by):
                drop_torn_line(path)
            yield Journal(path, made_by)
    except locks.Locked as error:
        raise InputError(refusal) from error


def lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def read_header(path: Path, made_by: str) -> dict[str, Any] | None:
    """The header of a journal; None where this command has not written one."""
    try:
        with open(path, "rb") as file:
            return header_of(json.loads(file.readline()), made_by)
    except (OSError, ValueError):
        return None


def header_of(content: Any, made_by: str) -> dict[str, Any] | None:
    """The content if it is a header of this command, else None."""
    is_ours = isinstance(content, dict) and content.get("made_by") == made_by
    return content if is_ours and isinstance(content.get("settings"), dict) else None


def drop_torn_line(path: Path) -> None:
    with open(path, "rb+") as file:
        file.truncate(sum(len(line) for line in file if line.endswith(b"\n")))


def line_of(content: Any) -> bytes:
    return f"{json.dumps(content)}\n".encode()


def content_of(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
