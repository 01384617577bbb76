"""Locks between processes: each is a `flock` of a file, and ends with its process even by a kill.

The package `filelock` (tried: 4.3) could replace `exclusive` alone: it leaves its file behind, has
no shared `flock`, and without `flock` falls back to a marker that outlives a killed process.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

FOREVER = math.inf
POLL = 0.05  # seconds between two tries


class Locked(BlockingIOError):
    """Another process holds the lock."""


def exclusive(path: Path, seconds: float = 0, notice: str = "") -> IO[bytes]:
    """The locked file at `path`, made if missing; closing it, as by `with`, ends the lock.

    Waits up to `seconds` for another holder, and logs the `notice` with the path where it waits.
    Raises Locked after that time.
    """
    file = open(path, "ab")  # noqa: SIM115  (the caller closes it)
    try:
        acquire(file, seconds, notice)
    except BaseException:
        file.close()
        raise
    return file


def shared(path: Path) -> IO[bytes]:
    """The file at `path`, made if missing, locked beside others that share it; closing it ends it.

    Waits for a process that holds it alone. Where the file may not be written to, it must exist.
    """
    while True:
        file = writable_or_readable(path)
        try:
            acquire(file, FOREVER, kind=fcntl.LOCK_SH)
        except BaseException:
            file.close()
            raise
        if lies_at(path, file):
            return file
        file.close()


def writable_or_readable(path: Path) -> IO[bytes]:
    try:
        return open(path, "a+b")
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return open(path, "rb")


@contextmanager
def temporary(path: Path, seconds: float = 0, notice: str = "") -> Iterator[None]:
    """Holds the lock of a file that exists only meanwhile; waits like `exclusive`."""
    file = at_its_path(path, seconds, notice)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def acquire(file: IO, seconds: float = 0, notice: str = "", kind: int = fcntl.LOCK_EX) -> None:
    """Locks an open file until it is closed; waits like `exclusive`."""
    deadline = time.monotonic() + seconds
    while not was_free(file, kind):
        if time.monotonic() >= deadline:
            raise Locked(f"{file.name} is locked by another process.")
        if notice:
            log.info("%s (%s)", notice, file.name)
            notice = ""
        time.sleep(POLL)


def is_held(path: Path, by_any: bool = False) -> bool:
    """Whether a process holds the lock of a file, alone or, with `by_any`, shared with others.

    False where the file cannot be opened. Changes nothing: the lock that tests it ends at once.
    """
    try:
        with open(path, "rb") as file:
            return not was_free(file, fcntl.LOCK_EX if by_any else fcntl.LOCK_SH)
    except OSError:
        return False


def was_free(file: IO, kind: int) -> bool:
    """Whether an open file was free; if so, it is locked from now on."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def at_its_path(path: Path, seconds: float, notice: str) -> IO[bytes]:
    """The locked file at `path`; tries again where the former holder has removed the file."""
    while True:
        file = exclusive(path, seconds, notice)
        if lies_at(path, file):
            return file
        file.close()


def lies_at(path: Path, file: IO) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
