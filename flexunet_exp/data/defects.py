"""Defects as connected regions of the truth, and their pixels after resizing to the input."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from flexunet_exp.data.masks import IGNORE, resize_mask

Size = tuple[int, int]
KEPT = 1024  # pixels: the places of defects up to this area are kept


class Defect(NamedTuple):
    """One connected region (8 neighbours) of a class, in pixels of the mask's own size."""

    class_index: int
    area: int
    resized: int  # pixels that show it after resizing
    left: int
    top: int
    width: int
    height: int
    shape: Size  # (height, width) of its mask
    places: np.ndarray | None  # (2, area): rows and columns of a defect of at most KEPT pixels


def find(mask: np.ndarray, size: Size) -> list[Defect]:
    """The defects of an index mask (H, W), and how many pixels of each `size` (h, w) keeps.

    A region that falls apart when resized stays one defect.
    """
    kept = [lines_shown(*sides) for sides in zip(mask.shape, size, strict=True)]
    classes = np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist()
    return [
        defect
        for index in classes
        if index not in (0, IGNORE)
        for defect in of_class(mask == index, index, kept)
    ]


def of_class(region: np.ndarray, index: int, kept: Sequence[np.ndarray]) -> list[Defect]:
    """The defects of a boolean region (H, W) of one class.

    `kept` are the rows and the columns that the resized mask shows.
    """
    shape = region.shape
    left, top, width, height = cv2.boundingRect(region.view(np.uint8))
    corner = top, left
    region = region[top : top + height, left : left + width]  # labelling all takes twice as long
    lines = [
        all_of[(all_of >= first) & (all_of < first + length)] - first
        for all_of, first, length in zip(kept, corner, region.shape, strict=True)
    ]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(region).view(np.uint8)
    )
    resized = np.bincount(labels[np.ix_(*lines)].ravel(), minlength=count)
    return [
        Defect(
            index,
            area,
            int(resized[label]),
            left + corner[1],
            top + corner[0],
            width,
            height,
            shape,
            places_of(labels, label, (top, left, height, width), corner) if area <= KEPT else None,
        )
        for label, (left, top, width, height, area) in enumerate(stats.tolist())
        if label > 0
    ]


def places_of(
    labels: np.ndarray, label: int, box: tuple[int, int, int, int], corner: Size
) -> np.ndarray:
    """Rows and columns (2, n) int32 in the mask of one label, which lies in the `box`."""
    top, left, height, width = box
    found = np.nonzero(labels[top : top + height, left : left + width] == label)
    start = np.array([[top + corner[0]], [left + corner[1]]], np.int32)
    return np.stack(found).astype(np.int32) + start


def lines_shown(side: int, resized: int) -> np.ndarray:
    """The row (or column), of `side`, that each of `resized` shows when training resizes a mask."""
    lines = np.arange(side, dtype=np.float32)[:, None]
    return resize_mask(lines, (resized, 1)).ravel().astype(np.int64)


def times_shown(side: int, resized: int) -> np.ndarray:
    """How often each of `side` rows (or columns) is shown after resizing."""
    return np.bincount(lines_shown(side, resized), minlength=side)


def shown(places: np.ndarray, times: tuple[np.ndarray, ...]) -> int:
    """Pixels that show the places (2, n) when each row and column is shown so many `times`."""
    return int((times[0][places[0]] * times[1][places[1]]).sum())


def is_lost(area: int, resized: int, wanted: int) -> bool:
    """Whether resizing left fewer than `wanted` pixels; of a smaller defect, fewer than all."""
    return resized < min(wanted, area)


def keeping_size(defects: Sequence[Defect], size: Size, wanted: int, step: int) -> Size:
    """The smallest input (h, w) in the proportions of `size` that loses none of the defects.

    Both sides are multiples of `step`. It is at most as large as the largest picture requires.
    """
    tallest, widest = (max(sides) for sides in zip(*(one.shape for one in defects), strict=True))
    last = max(tallest, widest * size[0] / size[1])
    for height in range(step, math.ceil(last / step) * step + 1, step):
        candidate = (height, max(step, round(height * size[1] / size[0] / step) * step))
        if min(candidate) >= min(size) and loses_none(defects, candidate, wanted):
            return candidate
    return (height, max(step, math.ceil(height * size[1] / size[0] / step) * step))


def loses_none(defects: Iterable[Defect], size: Size, wanted: int) -> bool:
    cache: dict[Size, tuple[np.ndarray, ...]] = {}
    for defect in defects:
        if defect.shape not in cache:
            cache[defect.shape] = tuple(map(times_shown, defect.shape, size))
        if is_lost(defect.area, at_size(defect, size, cache[defect.shape]), wanted):
            return False
    return True


def at_size(defect: Defect, size: Size, times: tuple[np.ndarray, ...]) -> int:
    """Pixels of a defect at another size; for a large defect by the ratio of the areas."""
    if defect.places is not None:
        return shown(defect.places, times)
    return defect.area * size[0] * size[1] // (defect.shape[0] * defect.shape[1])
