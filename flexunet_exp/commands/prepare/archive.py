"""Unpacks untrusted archives: only regular files of the chosen category, into one folder.

Python's data filter for `tarfile` (PEP 706) does not replace these checks: it admits links within
the folder, makes an absolute name relative instead of refusing it, and does not limit the size.
Only a member's content is taken from the archive; `place_of` makes its path.
"""

from __future__ import annotations

import gzip
import logging
import lzma
import shutil
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

import rich.progress

from flexunet_exp.errors import InputError
from flexunet_exp.system import interrupt

log = logging.getLogger(__name__)

MAX_MEMBERS = 100_000  # MVTec AD has about 7,000
MAX_BYTES = 32 * 2**30  # unpacked; MVTec AD is 5 GiB
MAX_READ = 2**24  # bytes at once: a header that claims more is damaged
PARTS = ("train", "test", "ground_truth")
OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\xfd7zXZ\x00": lzma.open,
    b"\x1f\x8b": gzip.open,
}
BROKEN = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile)


def folder_of(source: Path, category: str, unpacked: Path) -> Path:
    """The category's raw folder: `source` itself, the folder in it, or that of its archive.

    An archive is unpacked into `unpacked`, if that was not done before.
    """
    if source.is_file():
        target = unpacked / category
        return target if target.is_dir() else unpack(source, category, target)
    inner = source / category
    return inner if (inner / "test").is_dir() and not (source / "test").is_dir() else source


def unpack(archive: Path, category: str, target: Path) -> Path:
    """Writes `CATEGORY/{train,test,ground_truth}` of an archive into the new folder `target`.

    Raises InputError, and leaves nothing, for a broken archive, one without the category, and a
    member that is a link, a device or would lie elsewhere.
    """
    log.info("Unpacking %s", category)
    part = target.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        extract(archive, category, part)
    except BaseException as error:
        shutil.rmtree(part)
        if isinstance(error, BROKEN):
            raise InputError(
                f"{archive} is not a readable tar archive, or incomplete ({error}). Download it "
                "again."
            ) from error
        raise
    return part.rename(target)


def extract(archive: Path, category: str, folder: Path) -> None:
    found = False
    with opened(archive) as stream, tarfile.TarFile(fileobj=stream) as members:  # type: ignore[arg-type]
        for member in admitted(members, archive):
            interrupt.check()
            place = place_of(member.name, category)
            if place is not None and member.isfile():
                found = True
                copy(members.extractfile(member), folder / place, f"{archive}: {member.name}")
        stream.check_end()
    if not found:
        raise InputError(
            f"{archive} has no folder {category}/test. Choose the archive of {category} or of all "
            "MVTec AD, or the archive's category: dataset=NAME"
        )


def admitted(members: tarfile.TarFile, archive: Path) -> Iterator[tarfile.TarInfo]:
    """The members; raises InputError at the first one that is not allowed."""
    total = 0
    for number, member in enumerate(members, start=1):
        total += member.size
        if reason := refusal(member):
            raise InputError(
                f"{archive}: {member.name!r} {reason}. Nothing was unpacked. If you trust the "
                "archive, unpack it yourself and give the folder: input=FOLDER"
            )
        if number > MAX_MEMBERS or total > MAX_BYTES:
            raise InputError(
                f"{archive}: more than {MAX_MEMBERS:,} files or {MAX_BYTES / 2**30:.0f} GiB when "
                "unpacked; MVTec AD has less. Nothing was unpacked."
            )
        yield member


def refusal(member: tarfile.TarInfo) -> str:
    """Why a member is not allowed in an archive, of whatever category; empty if it is allowed."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        return "leads out of the folder it is unpacked to"
    if member.issym() or member.islnk():
        return f"is a link, to {member.linkname!r}"
    if not (member.isfile() or member.isdir()):
        return "is a device or a pipe"
    return ""


def place_of(name: str, category: str) -> Path | None:
    """A member's path below the category's folder; None if it is not in that folder."""
    parts = PurePosixPath(name).parts
    for at, part in enumerate(parts[:-2]):
        if part == category and parts[at + 1] in PARTS:
            return Path(*parts[at + 1 :])
    return None


def copy(content: IO[bytes] | None, path: Path, shown: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(path, "xb") as file:
            shutil.copyfileobj(content, file)  # type: ignore[arg-type]  # a file's, never None
    except FileExistsError as error:
        raise InputError(f"{shown} is there twice. Download the archive again.") from error


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
