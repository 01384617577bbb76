"""Parts that the folder layouts share: pair files by stem, read them, and name every problem."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from flexunet_exp.data.grouping import SHOWN, by_suffix, first_of
from flexunet_exp.data.scan_record import Findings, NetworkView, PictureFacts, picture_facts
from flexunet_exp.errors import InputError
from flexunet_exp.system import progress

COLUMNS = ("image", "mask", "label", "source", "variant", "split", "width", "height", "sha256")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
SYSTEM_FILES = ("thumbs.db", "desktop.ini")

Item = TypeVar("Item")
Result = TypeVar("Result")


class Pair(NamedTuple):
    """A picture, its mask (None: defect-free) and what follows from its place in the folders."""

    image: Path
    mask: Path | None
    source: str
    variant: str = "original"
    split: str = ""
    label: str = ""


def require_folder(folder: Path, part: str, expected: str, problems: list[str]) -> None:
    """Raise InputError where `folder` is missing; add a problem where its `part` is missing."""
    try:
        exists, has_part = folder.is_dir(), (folder / part).is_dir()
    except OSError as error:
        raise InputError(f"{folder}: cannot be opened ({error.strerror}).") from error
    if not exists:
        raise InputError(
            f"There is no data set folder {folder} (looked for {expected} in it). Download MVTec "
            "AD from https://www.mvtec.com/company/research/datasets/mvtec-ad and name its folder "
            "with dataset.path=FOLDER (this category) or data_root=FOLDER (all of them), or try "
            "without a download: dataset/layout=synthetic."
        )
    if not has_part:
        problems.append(
            f"{folder}: no folder {part} in it, expected {expected}. Point elsewhere with "
            "dataset.path=FOLDER, or choose the layout: dataset/layout=mvtec or image_mask."
        )


def entries(folder: Path, problems: list[str]) -> list[Path]:
    """The visible entries of the folder, sorted; adds a problem where it cannot be listed."""
    try:
        found = sorted(folder.iterdir()) if folder.is_dir() else []
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


def folder_names(parent: Path, problems: list[str]) -> set[str]:
    """Names of the visible folders in `parent`; none where it does not exist."""
    return {path.name for path in entries(parent, problems) if os.path.isdir(path)}


def files_by_stem(
    folder: Path,
    findings: Findings,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
    ending: str = "",
) -> dict[str, Path]:
    """The folder's pictures by stem (without `ending`), sorted; a warning names the ignored files.

    Only names are checked: a folder, a pipe or a broken link is found when the picture is read.
    """
    found: dict[str, Path] = {}
    strays = []
    for path in entries(folder, findings.problems):
        if path.suffix.lower() not in suffixes:
            strays += [path.name] * (path.name.lower() not in SYSTEM_FILES)
            continue
        first = found.setdefault(path.stem.removesuffix(ending), path)
        if first != path:
            findings.problems.append(
                f"{first} and {path.name} have one stem: remove or rename one of them."
            )
    if strays:
        which = (
            first_of(strays)
            if len(strays) <= SHOWN
            else f"{by_suffix(strays)}, such as {strays[0]}"
        )
        findings.warnings.append(f"{folder}: ignored, no picture: {which}")
    return found


def matched(
    images: dict[str, Path], truths: dict[str, Path], expected: Path, problems: list[str]
) -> list[tuple[str, Path, Path]]:
    """Stem, picture and mask of every pair; `expected` is the folder the masks belong in."""
    problems += [
        f"{path}: image without a mask, expected it in {expected}: add it or remove the image."
        f"{_nearly(stem, truths)}"
        for stem, path in images.items()
        if stem not in truths
    ]
    problems += [
        f"{path}: mask without an image: add the image or remove the mask.{_nearly(stem, images)}"
        for stem, path in truths.items()
        if stem not in images
    ]
    return [(stem, path, truths[stem]) for stem, path in images.items() if stem in truths]


def _nearly(stem: str, others: dict[str, Path]) -> str:
    """A sentence with the file whose name differs only in case or in the form of accents."""
    folded = [path.name for other, path in others.items() if _folded(other) == _folded(stem)]
    return f" Is it {folded[0]}? Give both one spelling." if folded else ""


def _folded(stem: str) -> str:
    return unicodedata.normalize("NFC", stem).casefold()


def each(
    items: Iterable[Item], read: Callable[[Item], Result], problems: list[str]
) -> list[Result | None]:
    """Results of `read` for all items, in threads; None where it raises InputError.

    Adds the problems of every error to `problems`. Displays the progress.
    """

    def attempt(item: Item) -> Result | InputError:
        try:
            return read(item)
        except InputError as error:
            return error

    todo = list(items)
    results: list[Result | InputError] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool, progress.displayed(len(todo)) as show:
        for result in pool.map(attempt, todo):
            results.append(result)
            show(len(results))
    failures = [result for result in results if isinstance(result, InputError)]
    problems += [problem for failure in failures for problem in failure.problems]
    return [None if isinstance(result, InputError) else result for result in results]


def read_pictures(
    pairs: Sequence[Pair], problems: list[str], view: NetworkView | None
) -> dict[str, PictureFacts]:
    """The facts of all pictures that can be read, by path; each is decoded once."""
    found = each([p.image for p in pairs], lambda path: picture_facts(path, view), problems)
    return {str(p.image): facts for p, facts in zip(pairs, found, strict=True) if facts}


def sample_table(pairs: Sequence[Pair], pictures: Mapping[str, PictureFacts]) -> pd.DataFrame:
    """The sample table of all pairs; size 0 where a picture could not be read."""
    rows = [
        (str(pair.image), str(pair.mask or ""), pair.label, pair.source, pair.variant, pair.split)
        + ((facts.width, facts.height, facts.sha256) if facts else (0, 0, ""))
        for pair in pairs
        for facts in [pictures.get(str(pair.image))]
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def compare_sizes(
    table: pd.DataFrame, shapes: Sequence[tuple[int, ...] | None], problems: list[str]
) -> np.ndarray:
    """Whether the picture and the mask of each row were read and have one size: (N,) bool.

    `shapes` are the masks' (height, width). Adds a problem for every pair of different sizes.
    """
    good = np.zeros(len(table), dtype=bool)
    for index, (row, shape) in enumerate(zip(table.to_dict("records"), shapes, strict=True)):
        good[index] = bool(row["width"]) and shape == (row["height"], row["width"])
        if shape and row["width"] and not good[index]:
            problems.append(
                f"{row['image']} is {row['width']} x {row['height']} pixels, its mask "
                f"{row['mask']} is {shape[1]} x {shape[0]}: both must have one size."
            )
    return good
