"""The members of an untrusted archive, of tar and zip alike: names and sizes, and what is refused.

Python's data filter for `tarfile` (PEP 706) does not replace these checks: it admits links within
the folder, makes an absolute name relative instead of refusing it, and does not limit the size.
"""

from __future__ import annotations

import gzip
import lzma
import stat
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, NamedTuple

import rich.progress

MAX_READ = 2**24  # bytes at once: a header that claims more is damaged
ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # how a zip begins, and one without members
ENCRYPTED = 0x1  # in the flags of a zip's member
OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\xfd7zXZ\x00": lzma.open,
    b"\x1f\x8b": gzip.open,
}


class Member(NamedTuple):
    """A member of an archive. `opened` gives its content, before the next member is asked for."""

    name: str  # with slashes
    size: int  # bytes, unpacked; its content has no more
    is_file: bool
    trouble: str  # why its kind is not allowed; empty if it is
    opened: Callable[[], IO[bytes] | None]


def of_archive(archive: Path) -> Iterator[Member]:
    """The members of a tar, plain or compressed, or of a zip, whatever the file is called."""
    with open(archive, "rb") as file:
        start = file.read(6)
    yield from of_zip(archive) if start.startswith(ZIP) else of_tar(archive)


def of_tar(archive: Path) -> Iterator[Member]:
    with opened(archive) as stream, tarfile.TarFile(fileobj=stream) as members:  # type: ignore[arg-type]
        for info in members:
            trouble = tar_trouble(info)
            yield Member(
                info.name,
                info.size,
                info.isfile(),
                trouble,
                lambda info=info: members.extractfile(info),  # type: ignore[misc]
            )
        stream.check_end()


def of_zip(archive: Path) -> Iterator[Member]:
    """A zip names its members at its end, and decompresses no more of one than it claims there."""
    end = archive.stat().st_size
    with zipfile.ZipFile(archive) as members:
        for info in members.infolist():
            if not 0 <= info.header_offset < end:
                raise zipfile.BadZipFile(f"{info.filename!r} lies outside of the file")
            yield Member(
                info.filename.replace("\\", "/"),
                info.file_size,
                not info.is_dir(),
                zip_trouble(info),
                lambda info=info: members.open(info),  # type: ignore[misc]
            )


def tar_trouble(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return f"is a link, to {info.linkname!r}"
    return "" if info.isfile() or info.isdir() else "is a device or a pipe"


def zip_trouble(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where it was not packed on Unix
    if kind == stat.S_IFLNK:
        return "is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a device or a pipe"
    return "is encrypted" if info.flag_bits & ENCRYPTED else ""


def refusal(member: Member) -> str:
    """Why a member is not allowed in an archive, of whatever category; empty if it is allowed."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or PureWindowsPath(member.name).drive:
        return "leads out of the folder it is unpacked to"
    return member.trouble


class Guarded:
    """A stream that is never read by more than MAX_READ at once, whatever a header claims."""

    def __init__(self, stream: IO[bytes]):
        self.stream = stream
        self.last = b""
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_READ:
            raise tarfile.ReadError(f"a header claims {size:,} bytes")
        self.last = self.stream.read(size)
        return self.last

    def check_end(self) -> None:
        """Raises ReadError unless the last block read is the block of zeros behind the members.

        Up to 1 MiB more is read, so that the decompressor checks a checksum at the end.
        """
        if self.last != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("the end is missing")
        self.read(2**20)


@contextmanager
def opened(archive: Path) -> Iterator[Guarded]:
    """The tar stream of a plain or compressed file, with a progress bar on a terminal."""
    no_terminal = not sys.stdout.isatty()
    with rich.progress.open(archive, "rb", disable=no_terminal, transient=True) as file:
        start = file.read(6)
        file.seek(0)
        opener = next((opens for magic, opens in OPENERS.items() if start.startswith(magic)), None)
        yield Guarded(opener(file) if opener else file)
