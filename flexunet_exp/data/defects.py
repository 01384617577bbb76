"""Defects as connected regions of the truth, and what resizing to the network's input leaves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from flexunet_exp.data.masks import IGNORE, resize_mask

Size = tuple[int, int]
KEPT = 1024  # pixels: of defects up to this area the places are remembered


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
    left, top, width, height = cv2.boundingRect(mask)
    inside = mask[top : top + height, left : left + width]
    classes = np.flatnonzero(np.bincount(inside.ravel(), minlength=256)).tolist()
    times = tuple(map(times_shown, mask.shape, size))
    return [
        defect
        for index in classes
        if index not in (0, IGNORE)
        for defect in of_class(inside == index, index, (top, left), mask.shape, times)
    ]


def of_class(
    region: np.ndarray, index: int, corner: Size, shape: Size, times: tuple[np.ndarray, ...]
) -> list[Defect]:
    """The defects of a boolean region (h, w), whose upper left is at `corner` of the mask."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    places = np.stack(np.nonzero(region)).astype(np.int32)
    order = np.argsort(labels[tuple(places)], kind="stable")
    places = places[:, order] + np.array(corner, np.int32)[:, None]
    areas = stats[1:, cv2.CC_STAT_AREA]
    parts = np.split(places, np.cumsum(areas)[:-1], axis=1)
    return [
        Defect(
            index,
            part.shape[1],
            shown(part, times),
            int(box[cv2.CC_STAT_LEFT]) + corner[1],
            int(box[cv2.CC_STAT_TOP]) + corner[0],
            int(box[cv2.CC_STAT_WIDTH]),
            int(box[cv2.CC_STAT_HEIGHT]),
            shape,
            part if part.shape[1] <= KEPT else None,
        )
        for part, box in zip(parts, stats[1:], strict=True)
    ]


def times_shown(side: int, resized: int) -> np.ndarray:
    """How often each of `side` rows (or columns) is shown after resizing, as training resizes."""
    rows = resize_mask(np.arange(side, dtype=np.float32)[:, None], (resized, 1))
    return np.bincount(rows.ravel().astype(np.int64), minlength=side)


def shown(places: np.ndarray, times: tuple[np.ndarray, ...]) -> int:
    """Pixels that show the places (2, n) when each row and column is shown so many `times`."""
    return int((times[0][places[0]] * times[1][places[1]]).sum())


def is_lost(area: int, resized: int, wanted: int) -> bool:
    """Whether resizing left less of a defect than `wanted` pixels, or less than it had if fewer."""
    return resized < min(wanted, area)


def keeping_size(defects: Sequence[Defect], size: Size, wanted: int, step: int) -> Size:
    """The smallest input (h, w) of the form of `size` that loses none of the defects.

    Both sides are multiples of `step`. It is at most what shows every picture at its own size.
    """
    largest = max(side for defect in defects for side in defect.shape)
    for height in range(step, math.ceil(largest / step) * step + 1, step):
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
    """Pixels of a defect at another size; of a large one by the ratio of the areas."""
    if defect.places is not None:
        return shown(defect.places, times)
    return defect.area * size[0] * size[1] // (defect.shape[0] * defect.shape[1])
