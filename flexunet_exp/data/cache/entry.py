"""An entry of the disk cache as files.

`cache_dir` holds for each entry a folder KEY (16 hex digits): images.npy (N, H, W, channels),
uint8 or uint16, masks.npy (N, H, W) uint8, and info.json, whose modification time is the time of
the last use. An entry is built as KEY.part and renamed when it is whole, so that a folder KEY was
never half built.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flexunet_exp.errors import InputError
from flexunet_exp.system import locks

INFO = "info.json"
COMPLETE = "complete"
Shape = tuple[int, ...]


class Kind(NamedTuple):
    """What an array holds."""

    shape: Shape
    dtype: np.dtype

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def arrays_of(number: int, size: tuple[int, int], dtype: str, channels: int = 3) -> dict[str, Kind]:
    """File → kind of an entry's arrays, for `number` samples of `size`, images of `dtype`."""
    return {
        "images.npy": Kind((number, *size, channels), np.dtype(dtype)),
        "masks.npy": Kind((number, *size), np.dtype(np.uint8)),
    }


FILES = (*arrays_of(0, (0, 0), "uint8"), INFO)


class ArrayFile:
    """An .npy file of shape (N, …), read and written one of the N at a time.

    It is not memory-mapped: the pages of a mapping count as memory of the process, and a file that
    is truncated under a mapping kills the process. An open file can be read to the end even if its
    entry is removed meanwhile.
    """

    def __init__(self, path: Path, kind: Kind, flags: int = os.O_RDONLY):
        self.path, self.kind, self.head = path, kind, npy_head(kind)
        self.file = os.open(path, flags, 0o666)
        weakref.finalize(self, os.close, self.file)

    def is_whole(self) -> bool:
        """Whether the file's head has this shape and type, and its length fits."""
        length = len(self.head) + self.kind.bytes
        head = os.pread(self.file, len(self.head), 0)
        return head == self.head and os.fstat(self.file).st_size == length

    def read(self, place: int) -> np.ndarray:
        array = np.empty(self.kind.shape[1:], self.kind.dtype)
        if os.preadv(self.file, [array.data.cast("B")], self.offset(place)) < array.nbytes:
            raise InputError(f"{self.path} was truncated while it was in use. Start again.")
        return array

    def write(self, place: int, array: np.ndarray) -> None:
        write_all(self.file, array.tobytes(), self.offset(place))

    def finish(self) -> None:
        """Writes the head and waits for the disk: a power failure must not leave zeros."""
        write_all(self.file, self.head, 0)
        os.fsync(self.file)

    def offset(self, place: int) -> int:
        one = math.prod(self.kind.shape[1:]) * self.kind.dtype.itemsize
        return len(self.head) + place * one


def npy_head(kind: Kind) -> bytes:
    """The first bytes of an .npy file of this kind."""
    head = io.BytesIO()
    facts = {"descr": kind.dtype.str, "fortran_order": False, "shape": kind.shape}
    np.lib.format.write_array_header_1_0(head, facts)
    return head.getvalue()


def write_all(file: int, data: bytes, offset: int) -> None:
    """Writes at an offset, in several calls where a nearly full disk takes a part first."""
    while data:
        taken = os.pwrite(file, data, offset)
        data, offset = data[taken:], offset + taken


def opened(
    path: Path, number: int, size: tuple[int, int], dtype: str, channels: int = 3
) -> list[ArrayFile] | None:
    """Images and masks of an entry; None where it is missing or not whole."""
    try:
        kinds = arrays_of(number, size, dtype, channels)
        arrays = [ArrayFile(path / name, kind) for name, kind in kinds.items()]
    except FileNotFoundError:
        return None
    return arrays if all(array.is_whole() for array in arrays) else None


def create(
    path: Path, dataset: str, number: int, size: tuple[int, int], dtype: str, channels: int = 3
) -> list[ArrayFile]:
    """A folder for an entry's content, with files for images and masks to be filled."""
    kinds = arrays_of(number, size, dtype, channels)
    info = {
        "dataset": dataset,
        "size": list(size),
        "number": number,
        "dtype": dtype,
        "channels": channels,
        "bytes": sum(kind.bytes for kind in kinds.values()),
        "built": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    path.mkdir()
    (path / INFO).write_text(json.dumps(info, indent=1) + "\n")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    return [ArrayFile(path / name, kind, flags) for name, kind in kinds.items()]


def discard(path: Path) -> None:
    """Removes an entry or the rest of one; OSError where the folder holds another file."""
    if path.is_symlink():
        path.unlink()  # its target lies outside the cache
    elif path.is_dir():
        for name in FILES:
            (path / name).unlink(missing_ok=True)
        path.rmdir()


def lock_of(path: Path) -> Path:
    """The lock file of an entry, which exists while a process builds the entry."""
    return path.with_suffix(".lock")


def record_use(path: Path) -> None:
    with suppress(OSError):  # an entry of another user may be read-only
        os.utime(path / INFO)


def last_use(path: Path) -> float:
    """The time of the last use or build, in seconds since 1970."""
    info = path / INFO
    return (info if info.exists() else path).stat().st_mtime


def read_info(path: Path) -> dict[str, Any]:
    """Content of info.json, as `create` writes it; empty where unreadable."""
    try:
        info = json.loads((path / INFO).read_text())
    except (OSError, ValueError):
        return {}
    return info if isinstance(info, dict) else {}


def entries(folder: Path) -> list[Path]:
    """The entries in `cache_dir`, whole or not, without other files and folders."""
    return [path for path in sorted(folder.iterdir()) if is_entry(path)] if folder.is_dir() else []


def is_entry(path: Path) -> bool:
    named = re.fullmatch(r"[0-9a-f]{16}(\.part)?", path.name)
    if not named or path.is_symlink() or not path.is_dir():
        return False
    return set(os.listdir(path)) <= set(FILES)


def state(path: Path) -> str:
    """COMPLETE, damaged, being built, or leftover of a process that was killed."""
    if path.suffix:
        return "being built" if locks.is_held(lock_of(path)) else "leftover"
    info = read_info(path)
    try:
        size, dtype = tuple(info["size"]), info.get("dtype", "uint8")
        whole = opened(path, info["number"], size, dtype, info.get("channels", 3))
    except (KeyError, TypeError):
        whole = None
    return COMPLETE if whole else "damaged"


def size_on_disk(path: Path) -> int:
    return sum((path / name).stat().st_size for name in FILES if (path / name).exists())


def remove_locks(folder: Path) -> None:
    """Removes the lock files of processes that were killed."""
    for path in folder.glob("*.lock"):
        if re.fullmatch(r"(features_)?[0-9a-f]{16}", path.stem):
            with suppress(locks.Locked), locks.temporary(path):
                pass  # leaving the context removes the file
