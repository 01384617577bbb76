"""The lock under which an entry of the disk cache is built: it ends with its process, however."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)


@contextmanager
def locked(entry: Path, wait: bool = True) -> Iterator[None]:
    """Holds the lock of an entry, the file KEY.lock beside it, which is there only meanwhile.

    Raises BlockingIOError where another process holds it and `wait` is false.
    """
    lock = entry.with_suffix(".lock")
    file = acquired(lock, wait)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(file)


def is_locked(entry: Path) -> bool:
    try:
        with locked(entry, wait=False):
            return False
    except BlockingIOError:
        return True


def acquired(lock: Path, wait: bool) -> int:
    """The descriptor of the locked file."""
    while True:
        file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            acquire(file, lock, wait)
            if is_at(lock, file):
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # the holder that was waited for has removed it: this locks nothing


def acquire(file: int, lock: Path, wait: bool) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            raise
        log.info("Waiting for another process that builds the disk cache (%s)", lock)
        fcntl.flock(file, fcntl.LOCK_EX)


def is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
