"""Regions of a class's probability map above each of 19 thresholds, and the true defects they meet.

From them, a person's rule (a threshold, a least area, a least mean probability) can be judged
without the network. Probabilities are rounded down to 1/240, so that they fit a byte and every
threshold is met exactly. A region is an 8-connected component, as in `objects`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from flexunet_exp.data.masks import IGNORE

STEPS = 240  # rounded probabilities from 0 to 1
THRESHOLDS = np.arange(1, 20) / 20
LEVELS = np.arange(1, 20) * (STEPS // 20)  # the thresholds as rounded probabilities
MOST_REGIONS = 50  # the largest that are kept of a picture, a class and a threshold


class PictureRegions(NamedTuple):
    """What is kept of a picture with C classes, K regions, D true defects and M meetings."""

    truth_pixels: np.ndarray  # (C,) int64, the true pixels of each class
    above: np.ndarray  # (C, 19, 2) int64, as `above_thresholds` has it; row 0 is any defect class
    left_out: np.ndarray  # (C, 19) int64, regions beyond the largest
    regions: np.ndarray  # (K, 6) float64, the columns REGION
    defects: np.ndarray  # (D, 2) int64, the columns DEFECT
    meetings: np.ndarray  # (M, 3) int64, the columns MEETING


REGION = ("class", "threshold", "area", "mean", "peak", "is_alarm")
DEFECT = ("class", "area")
MEETING = ("region", "defect", "pixels")  # rows of the tables above, and their common pixels


class Truth(NamedTuple):
    """The true defects of a picture, numbered from 1 over all classes."""

    owners: np.ndarray  # (H, W) int32, the defect of each pixel; 0 none, D + 1 ignored
    defects: np.ndarray  # (D, 2) int64, class and area


def rounded(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities in 0..1 as uint8, rounded down to 1/240."""
    return (probabilities * np.float32(STEPS)).astype(np.uint8)


def planes(probabilities: np.ndarray) -> np.ndarray:
    """The rounded probabilities (C - 1, rows, W) of the defect classes from (rows, W, C)."""
    return np.stack([rounded(probabilities[..., c]) for c in range(1, probabilities.shape[-1])])


def find_regions(levels: np.ndarray, truth: np.ndarray) -> PictureRegions:
    """The regions of rounded probabilities (C - 1, H, W) uint8 on a truth (H, W) uint8."""
    classes = len(levels) + 1
    true = true_defects(truth, classes)
    pixels = np.bincount(truth.ravel(), minlength=256)[:classes]
    above = np.zeros((classes, len(LEVELS), 2), np.int64)
    left_out = np.zeros((classes, len(LEVELS)), np.int64)
    above[0] = above_thresholds(levels.max(axis=0), truth, truth.ravel() != 0)
    regions, meetings, number = [], [], 0
    for index, level in enumerate(levels, start=1):
        if level.max() < LEVELS[0]:
            continue
        above[index] = above_thresholds(level, truth, truth.ravel() == index)
        for place, found, met, more in of_class(level, true):
            left_out[index, place] = more
            shape = (len(found), 1)
            heads = np.full(shape, index), np.full(shape, place)
            regions.append(np.hstack([*heads, found]))
            meetings.append(met + [number, 0, 0])
            number += len(found)
    return PictureRegions(
        pixels.astype(np.int64),
        above,
        left_out,
        np.vstack([np.empty((0, len(REGION))), *regions]),
        true.defects,
        np.vstack([np.empty((0, len(MEETING)), np.int64), *meetings]),
    )


def true_defects(truth: np.ndarray, classes: int) -> Truth:
    """The 8-connected components of each defect class in a truth (H, W)."""
    owners = np.zeros(truth.shape, np.int32)
    defects: list[tuple[int, int]] = []
    for index in [int(one) for one in np.unique(truth) if 0 < one < classes]:
        is_class = (truth == index).view(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(is_class, connectivity=8)
        np.copyto(owners, labels + len(defects), where=labels > 0)
        defects += [(index, int(area)) for area in stats[1:, cv2.CC_STAT_AREA]]
    owners[truth == IGNORE] = len(defects) + 1
    return Truth(owners, np.array(defects, np.int64).reshape(-1, len(DEFECT)))


def above_thresholds(level: np.ndarray, truth: np.ndarray, is_class: np.ndarray) -> np.ndarray:
    """Pixels of a class's map at or above each threshold: (19, 2) int64.

    Those on true background, and those on true pixels of the class, `is_class` (H · W,).
    """
    inside = np.flatnonzero(level.ravel() >= LEVELS[0])
    values, true = level.ravel()[inside], truth.ravel()[inside]
    groups = (values[true == 0], values[is_class[inside] & (true != IGNORE)])
    counts = [np.bincount(group, minlength=STEPS + 1)[::-1].cumsum()[::-1] for group in groups]
    return np.stack([count[LEVELS] for count in counts], axis=1)


def of_class(level: np.ndarray, true: Truth) -> Iterator[tuple[int, np.ndarray, np.ndarray, int]]:
    """Of each threshold that a class's map (H, W) reaches: its place, and the largest regions.

    These are (K, 4) float64, the columns REGION from the area on; meetings (M, 3) by their rows;
    and how many more regions there are.
    """
    left, top, width, height = cv2.boundingRect((level >= LEVELS[0]).view(np.uint8))
    box = np.s_[top : top + height, left : left + width]
    level, owners = np.ascontiguousarray(level[box]), true.owners[box].ravel()
    inside = np.flatnonzero(level.ravel() >= LEVELS[0])
    owners, values = owners[inside], level.ravel()[inside]
    for place, least in enumerate(LEVELS):
        keep = values >= least
        inside, owners, values = inside[keep], owners[keep], values[keep]
        if not len(inside):
            return
        count, labels = cv2.connectedComponents((level >= least).view(np.uint8), connectivity=8)
        numbers = labels.ravel()[inside] - 1
        yield place, *largest(numbers, count - 1, owners, values, len(true.defects))


def largest(
    numbers: np.ndarray, count: int, owners: np.ndarray, values: np.ndarray, defects: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """The largest regions and their meetings, as `of_class` gives them, and how many more."""
    areas = np.bincount(numbers, minlength=count)
    means = np.bincount(numbers, values, minlength=count) / areas / STEPS
    peaks = np.zeros(count, np.uint8)
    np.maximum.at(peaks, numbers, values)
    on_truth = owners > 0
    is_alarm = np.bincount(numbers[on_truth], minlength=count) == 0
    # Those that meet a defect first: what is left out is then a false alarm, nearly always.
    order = np.lexsort([-areas, is_alarm])[:MOST_REGIONS]
    rank = np.full(count, -1)
    rank[order] = np.arange(len(order))
    on_truth &= owners <= defects
    pairs = rank[numbers[on_truth]], owners[on_truth] - 1
    keys, pixels = np.unique(pairs[0] * max(defects, 1) + pairs[1], return_counts=True)
    keys, pixels = keys[keys >= 0], pixels[keys >= 0]
    met = np.column_stack([*np.divmod(keys, max(defects, 1)), pixels])
    table = np.column_stack([areas, means, peaks / STEPS, is_alarm])[order]
    return table, met.astype(np.int64), count - len(order)
