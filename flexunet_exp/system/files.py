"""Writes files so that a reader never sees a part of one."""

from __future__ import annotations

import fcntl
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def whole_or_nothing(path: Path) -> Iterator[Path]:
    """A temporary path of the same suffix beside `path`, which it replaces in one step at the end.

    A reader sees the old content or the new, never a part; after an error the old one stays.
    """
    part = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def rewritten(path: Path, spare: Path) -> Iterator[IO[bytes]]:
    """A file that replaces `path` in one step, as `whole_or_nothing`, written over a spare file.

    Afterwards the former file is the spare, on the same file system. A large file that is written
    again and again so keeps its pages in memory: new ones take longer (docs/measured/speed.md).
    """
    with whole_or_nothing(path) as part:
        with suppress(OSError):  # there is no spare file
            os.replace(spare, part)
            if not is_unseen(part):
                part.unlink()
        with open(part, "wb", opener=untruncated) as file:
            yield file
            file.truncate()
        with suppress(OSError):  # there is no former file, or the file system has no hard links
            os.link(path, spare)


def is_unseen(path: Path) -> bool:
    """Whether a file has no other name, and no process has it open.

    Else its content must stay: for that name, or until it is read. False where the system cannot
    tell.
    """
    with suppress(OSError, AttributeError), open(path, "rb", opener=through_no_link) as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)  # refused while it is open elsewhere
        return os.fstat(file.fileno()).st_nlink == 1
    return False


def untruncated(path: str, flags: int) -> int:
    return os.open(path, flags & ~os.O_TRUNC, 0o666)


def through_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    with whole_or_nothing(path) as part:
        part.write_bytes(content)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Writes a table as CSV, whole or not at all."""
    replace_file(path, table.map(harmless).to_csv(index=False).encode())


def harmless(value: Any) -> Any:
    """A value of a table; puts ' before a text that a spreadsheet would run as a formula."""
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@"))
    return (
        f"'{value}" if is_formula and not re.fullmatch(r"[-+][\d.]+(e[-+]?\d+)?", value) else value
    )


def remove_parts(folder: Path) -> None:
    """Removes the incomplete files that killed writers left anywhere below `folder`."""
    for path in folder.rglob(".*"):
        if is_part(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def is_part(name: str) -> bool:
    """Whether a name is that of a temporary file of `whole_or_nothing`."""
    return re.fullmatch(r"\.[0-9a-f]{32}(\..*)?", name) is not None
