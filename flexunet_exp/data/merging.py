"""Merges the masks of one picture, where a data set has a file for each part of a defect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from flexunet_exp.data.listing import pictures_in
from flexunet_exp.errors import InputError


def merged(folder: Path, read: Callable[[Path], tuple[np.ndarray, int]]) -> tuple[np.ndarray, int]:
    """The masks of a folder as one index mask (H, W), and the sum of what `read` counts.

    Raises InputError where they differ in size, or show different classes at one place.
    """
    paths = pictures_in(folder)
    if not paths:
        raise InputError(f"{folder}: no mask in it, expected one for each part of the defect.")
    whole, number = read(paths[0])
    for path in paths[1:]:
        mask, count = read(path)
        number += count
        if mask.shape != whole.shape:
            raise InputError(
                f"{path} is {mask.shape[1]} x {mask.shape[0]} pixels, {paths[0].name} is "
                f"{whole.shape[1]} x {whole.shape[0]}: the masks of a picture must have one size."
            )
        if clash := np.count_nonzero((whole != mask) & (whole != 0) & (mask != 0)):
            raise InputError(
                f"{path}: {clash:,} pixels are another class in another mask of {folder}: a pixel "
                "has one class. Correct the masks."
            )
        whole = np.maximum(whole, mask)
    return whole, number
