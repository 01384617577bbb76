"""Merges the masks of one picture, where a data set has a file for each part of a defect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from flexunet_exp.data.folders.listing import pictures_in
from flexunet_exp.data.masks.mask_values import ReadMask
from flexunet_exp.errors import InputError


def merged(folder: Path, read: Callable[[Path], ReadMask]) -> ReadMask:
    """The masks of a folder as one; its signs are those of the first that may mean two things.

    Raises InputError where they differ in size, or show different classes at one place.
    """
    paths = pictures_in(folder)
    if not paths:
        raise InputError(f"{folder}: no mask in it, expected one for each part of the defect.")
    parts = [read(path) for path in paths]
    whole = parts[0].mask
    for path, part in zip(paths[1:], parts[1:], strict=True):
        check_fits(whole, part.mask, path, paths[0])
        whole = np.maximum(whole, part.mask)
    signs = next((one.signs for one in parts if one.signs.by != "colours"), parts[0].signs)
    return ReadMask(whole, sum(one.odd for one in parts), any(one.turned for one in parts), signs)


def check_fits(whole: np.ndarray, mask: np.ndarray, path: Path, first: Path) -> None:
    """Raises InputError where a mask has another size, or another class at one place."""
    if mask.shape != whole.shape:
        raise InputError(
            f"{path} is {mask.shape[1]} x {mask.shape[0]} pixels, {first.name} is "
            f"{whole.shape[1]} x {whole.shape[0]}: the masks of a picture must have one size."
        )
    if clash := np.count_nonzero((whole != mask) & (whole != 0) & (mask != 0)):
        raise InputError(
            f"{path}: {clash:,} pixels are another class in another mask of {path.parent}: a "
            "pixel has one class. Correct the masks."
        )
