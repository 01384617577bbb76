"""Lists the folders of a data set: the pictures in them, their sub-folders, and other files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path

from flexunet_exp.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
SYSTEM_FILES = ("thumbs.db", "desktop.ini")
SYSTEM_FOLDERS = ("__macosx", "@eadir")


def require_folder(folder: Path, expected: str) -> None:
    """Raises InputError where `folder` is missing or cannot be opened; `expected` lies in it."""
    try:
        exists = folder.is_dir()
    except OSError as error:
        raise InputError(f"{folder}: cannot be opened ({error.strerror}).") from error
    if not exists:
        raise InputError(
            f"There is no data set folder {folder} (looked for {expected} in it). Download MVTec "
            "AD from https://www.mvtec.com/company/research/datasets/mvtec-ad and name its folder "
            "with dataset.path=FOLDER (this category) or data_root=FOLDER (all of them), or try "
            "without a download: dataset/layout=synthetic."
        )


def entries(folder: Path, problems: list[str]) -> list[Path]:
    """The visible entries of the folder, sorted; adds a problem where it cannot be listed."""
    try:
        found = sorted(folder.iterdir(), key=attrgetter("name")) if folder.is_dir() else []
    except OSError as error:
        problems.append(f"{folder}: cannot be listed ({error.strerror}). Make it readable.")
        return []
    return [path for path in found if path.name[0] != "." and is_text(path, problems)]


def is_text(path: Path, problems: list[str]) -> bool:
    """Whether a name is valid UTF-8, which tables and logs need; adds a problem where it is not."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        name = os.fsencode(path.name)
        problems.append(f"{path.parent}: the name {name!r} is no text in UTF-8: rename it.")
        return False
    return True


def sub_folders(parent: Path, problems: list[str]) -> list[Path]:
    """The visible folders in `parent`, sorted; none where it does not exist."""
    found = entries(parent, problems)
    return [path for path in found if is_folder(path) and path.name.lower() not in SYSTEM_FOLDERS]


def is_folder(path: Path) -> bool:
    # A file that ends like a picture is one, unless it is a folder: most need no look at the disk.
    return path.suffix.lower() not in IMAGE_SUFFIXES and os.path.isdir(path)


def pictures_in(folder: Path) -> list[Path]:
    """The files of a folder that end like a picture, sorted."""
    return [path for path in entries(folder, []) if path.suffix.lower() in IMAGE_SUFFIXES]


def pictures_below(folder: Path) -> int:
    """The number of pictures in a folder and all folders below it; links in it are not followed.

    0 for a link to a folder around it.
    """
    if folder.is_symlink() and folder.resolve() in folder.parent.resolve().joinpath("x").parents:
        return 0
    return sum(
        Path(name).suffix.lower() in IMAGE_SUFFIXES and name[0] != "."
        for _, _, names in os.walk(folder)
        for name in names
    )


def by_suffix(paths: Iterable[Path]) -> str:
    """How many files end in each suffix: `200 .json, 1 .txt`."""
    counts = Counter(path.suffix.lower() or "without a suffix" for path in paths)
    return ", ".join(f"{number:,} {suffix}" for suffix, number in counts.most_common())
