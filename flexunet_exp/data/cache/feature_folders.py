"""The folders of kept features as files: what they hold, who uses them, and how they are removed.

`cache_dir` holds for each encoder a folder features_KEY (16 hex digits) with info.json, whose
modification time is the time of the last use, a file for each view of each picture, and a lock that
every process shares as long as it uses the folder.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from flexunet_exp.data.cache import entry
from flexunet_exp.system import files, locks

PREFIX = "features_"
USE = "in_use.lock"
VIEW = r"[0-9a-f]{32}_\w+\.bin"  # content of a picture, and name of the view


class Content(NamedTuple):
    """What a folder holds."""

    views: int  # of all pictures together: a file each
    bytes: int


def hold(path: Path) -> IO[bytes]:
    """The lock of a folder, which is made if missing, shared with others that use it.

    No process removes the folder until the lock is closed.
    """
    while True:
        path.mkdir(parents=True, exist_ok=True)
        try:
            return locks.shared(path / USE)
        except FileNotFoundError:
            if path.exists():  # and may not be written to
                raise


def record(path: Path, dataset: str, facts: dict[str, Any]) -> None:
    """Writes info.json, with the names of all data sets so far, and the time of this use."""
    known = entry.read_info(path)
    names = known.get("datasets")
    names = sorted({dataset, *(names if isinstance(names, list) else [])})
    built = known.get("built", time.strftime("%Y-%m-%d %H:%M:%S"))
    info = {"datasets": names, **facts, "built": built}
    with suppress(OSError):  # a folder of another user may be read-only
        if info != known:
            files.replace_file(path / entry.INFO, json.dumps(info, indent=1).encode() + b"\n")
        os.utime(path / entry.INFO)


def folders(folder: Path) -> list[Path]:
    """The folders of kept features in `cache_dir`, without such as hold any other file."""
    return [path for path in sorted(folder.iterdir()) if is_one(path)] if folder.is_dir() else []


def is_one(path: Path) -> bool:
    named = re.fullmatch(PREFIX + "[0-9a-f]{16}", path.name)
    if not named or path.is_symlink() or not path.is_dir():
        return False
    return all(map(is_own, os.listdir(path)))


def is_own(name: str) -> bool:
    """Whether a file of this name is made by this program."""
    return name in (entry.INFO, USE) or files.is_part(name) or bool(re.fullmatch(VIEW, name))


def content(path: Path) -> Content:
    views = [file for file in path.iterdir() if re.fullmatch(VIEW, file.name)]
    return Content(len(views), sum(file.stat().st_size for file in views))


def is_used(path: Path) -> bool:
    """Whether a process uses the folder."""
    return locks.is_held(path / USE, by_any=True)


def prune(path: Path, is_old: bool) -> bool:
    """Removes the folder if it is old or has no view, else what killed processes left in it.

    Says whether it is gone. Raises locks.Locked, and changes nothing, where a process uses it.
    """
    with locks.at_its_path(path / USE, 0, ""):
        if is_old or not content(path).views:
            discard(path)
            return True
        files.remove_parts(path)
    return False


def discard(path: Path) -> None:
    """Removes a folder whose lock the caller holds; a file of another program stays in it."""
    for name in os.listdir(path):
        if is_own(name) and name != USE:
            (path / name).unlink(missing_ok=True)
    (path / USE).unlink()  # at last: now another process may begin the folder anew
    try:
        path.rmdir()
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
