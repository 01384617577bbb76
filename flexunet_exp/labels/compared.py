"""A picture's truth beside its prediction, region by region.

A region is an 8-connected component of one defect class, as in `scores.objects`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from flexunet_exp.data.masks import IGNORE
from flexunet_exp.scores.regions import STEPS

SEEN = 0.1  # share of a region that must meet the other side to be seen there
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


class Box(NamedTuple):
    """A rectangle in pixels of the picture."""

    left: int
    top: int
    width: int
    height: int

    @property
    def place(self) -> tuple[slice, slice]:
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


class Region(NamedTuple):
    """A true or a predicted region, and what the other side says of its pixels."""

    is_true: bool
    label: int  # its class
    box: Box
    area: int
    probabilities: tuple[float, ...]  # (C,) mean over its pixels, background first
    met: float  # share of its pixels that are any defect on the other side, 0..1
    distance: float  # mean pixels between outlines of its class; NaN where it is not seen


class Compared(NamedTuple):
    """The regions of a picture, and the mean background probability on its background (or NaN)."""

    regions: list[Region]
    background: float


def compare(truth: np.ndarray, levels: np.ndarray, mask: np.ndarray) -> Compared:
    """Compares a truth (H, W) with rounded probabilities (C - 1, H, W) and their argmax (H, W).

    Ignored pixels are of no region, and predicted regions on them are left out.
    """
    ignored = truth == IGNORE
    true = np.where(ignored, 0, truth).astype(np.uint8)
    predicted = np.where(ignored, 0, mask).astype(np.uint8)
    is_background = (truth == 0).astype(np.uint8)
    regions = [*of_side(true, predicted, levels, True), *of_side(predicted, true, levels, False)]
    if not is_background.any():
        return Compared(regions, float("nan"))
    total = sum(cv2.mean(level, is_background)[0] for level in levels)
    return Compared(regions, 1 - total / STEPS)


def of_side(
    own: np.ndarray, other: np.ndarray, levels: np.ndarray, is_true: bool
) -> Iterator[Region]:
    """The regions of a mask (H, W), with what the other mask says of them."""
    for label, box, pixels in components(own):
        met = float(np.count_nonzero(other[box.place][pixels])) / np.count_nonzero(pixels)
        means = levels[:, *box.place][:, pixels].mean(axis=1) / STEPS
        probabilities = (max(0.0, 1 - float(means.sum())), *means.tolist())
        distance = float("nan")
        if is_true and met >= SEEN:
            distance = outline_distance(own == label, other == label, box)
        yield Region(is_true, label, box, int(pixels.sum()), probabilities, met, distance)


def components(mask: np.ndarray) -> Iterator[tuple[int, Box, np.ndarray]]:
    """Class, box, and pixels (height, width) bool within the box, of each region of a mask."""
    for label in np.unique(mask[(mask > 0) & (mask != IGNORE)]).tolist():
        is_class = (mask == label).astype(np.uint8)
        count, numbers, stats, _ = cv2.connectedComponentsWithStats(is_class, connectivity=8)
        for number in range(1, count):
            box = Box(*stats[number, :4].tolist())
            yield label, box, numbers[box.place] == number


def outline_distance(own: np.ndarray, other: np.ndarray, box: Box) -> float:
    """Mean distance (pixels) of the outline of `own` within a box to that of `other`.

    NaN where `other` has no pixel near the box, which is as far around it as the box is large.
    """
    margin = max(8, box.width, box.height)
    rows = slice(max(0, box.top - margin), box.top + box.height + margin)
    columns = slice(max(0, box.left - margin), box.left + box.width + margin)
    near = outline(other[rows, columns])
    if not near.any():
        return float("nan")
    away = cv2.distanceTransform(1 - near, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    inside = outline(own[rows, columns])
    shifted = Box(box.left - columns.start, box.top - rows.start, box.width, box.height)
    kept = np.zeros_like(inside)
    kept[shifted.place] = inside[shifted.place]
    return float(away[kept > 0].mean())


def outline(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask (H, W) with a 4-neighbour outside it: uint8, 0 or 1."""
    pixels = mask.astype(np.uint8)
    return pixels - cv2.erode(pixels, _CROSS)
