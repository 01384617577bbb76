"""Unpacks untrusted archives: only regular files of the chosen category, into one folder.

Only a member's content is taken from the archive; `place_of` makes its path.
"""

from __future__ import annotations

import gzip
import logging
import lzma
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from flexunet_exp.commands.prepare import members
from flexunet_exp.commands.prepare.members import Member
from flexunet_exp.errors import InputError
from flexunet_exp.system import interrupt

log = logging.getLogger(__name__)

MAX_MEMBERS = 100_000  # MVTec AD has about 7,000
MAX_BYTES = 32 * 2**30  # unpacked; MVTec AD is 5 GiB
PARTS = ("train", "test", "ground_truth")
BROKEN = (
    *(tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile),
    # Of `zipfile`: the last three are what it raises for headers of other bytes.
    *(zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, OverflowError),
)


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
    member that is a link, a device, encrypted or would lie elsewhere.
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
                f"{archive} is not a readable tar or zip archive, or incomplete ({error}). "
                "Download it again, or unpack it yourself and give the folder: input=FOLDER"
            ) from error
        raise
    return part.rename(target)


def extract(archive: Path, category: str, folder: Path) -> None:
    found = False
    for member in admitted(members.of_archive(archive), archive):
        interrupt.check()
        place = place_of(member.name, category)
        if place is not None and member.is_file:
            found = True
            copy(member.opened(), folder / place, f"{archive}: {member.name}")
    if not found:
        raise InputError(
            f"{archive} has no folder {category}/test. Choose the archive of {category} or of all "
            "MVTec AD, or the archive's category: dataset=NAME"
        )


def admitted(found: Iterable[Member], archive: Path) -> Iterator[Member]:
    """The members; raises InputError at the first one that is not allowed."""
    total = 0
    for number, member in enumerate(found, start=1):
        total += member.size
        if reason := members.refusal(member):
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
