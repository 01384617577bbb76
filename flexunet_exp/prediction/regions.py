"""Defect regions of a predicted mask: connected pixels of one class, and their probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np


class Region(NamedTuple):
    """One connected region (8 neighbours) of one defect class, in pixels of the picture."""

    label: str  # its class
    area: int
    share: float  # of the picture, 0..1
    left: int
    top: int
    width: int
    height: int
    centre_x: float
    centre_y: float
    mean_probability: float  # of its class, 0..1
    max_probability: float


def find(
    mask: np.ndarray,
    certainty: np.ndarray,
    class_names: Sequence[str],
    min_area: int = 1,
    min_probability: float = 0.0,
) -> tuple[np.ndarray, list[Region]]:
    """The mask (H, W) without the dropped regions, and the regions, class by class from the top.

    `certainty` (H, W) is the predicted class's probability. Regions of less than `min_area` pixels
    or a lower mean probability than `min_probability` become background. `mask` is not changed.
    """
    kept, regions = mask.copy(), []
    present = np.bincount(mask.ravel(), minlength=len(class_names)) > 0
    for index in (np.flatnonzero(present[1 : len(class_names)]) + 1).tolist():
        seen = regions_of(mask == index, certainty)
        stays = (seen.areas >= min_area) & (seen.means >= min_probability)
        kept.flat[seen.inside[~stays[seen.owners]]] = 0
        for number in np.flatnonzero(stays):
            area = int(seen.areas[number])
            left, top, width, height = seen.boxes[number].tolist()
            box = (area, area / mask.size, left, top, width, height)
            x, y = seen.centres[number].tolist()
            sure = (float(seen.means[number]), float(seen.highest[number]))
            regions.append(Region(class_names[index], *box, x, y, *sure))
    return kept, regions


class Measured(NamedTuple):
    """The regions of a class, in the order of OpenCV's labels, and their pixels."""

    inside: np.ndarray  # (P,) the flat index of each pixel, in their order in the picture
    owners: np.ndarray  # (P,) the region of each pixel
    areas: np.ndarray  # (N,)
    boxes: np.ndarray  # (N, 4) left, top, width, height
    centres: np.ndarray  # (N, 2) x, y float64
    means: np.ndarray  # (N,) float64
    highest: np.ndarray  # (N,) float64


def regions_of(is_class: np.ndarray, certainty: np.ndarray) -> Measured:
    """The regions of the pixels (H, W) bool, at least one, with probabilities (H, W).

    They are measured run by run, a run being the neighbours in a row. OpenCV measures all pixels of
    the picture, and takes ten times as long as for the labels alone.
    """
    count, labels = cv2.connectedComponents(is_class.view(np.uint8), connectivity=8)
    inside = np.flatnonzero(is_class)
    values = certainty.ravel()[inside].astype(np.float64)
    width = is_class.shape[1]
    starts = np.flatnonzero((np.diff(inside, prepend=-2) != 1) | (inside % width == 0))
    lengths = np.diff(starts, append=len(inside))
    rows, lefts = np.divmod(inside[starts], width)
    of_runs = labels.ravel()[inside[starts]].astype(np.intp) - 1
    owners = np.repeat(of_runs, lengths)
    areas = np.bincount(owners)
    highest = np.zeros(count - 1)
    np.maximum.at(highest, of_runs, np.maximum.reduceat(values, starts))
    sums = [
        np.bincount(of_runs, weights)
        for weights in (lengths * (2 * lefts + lengths - 1) / 2, lengths * rows)
    ]
    return Measured(
        inside,
        owners,
        areas,
        boxes(of_runs, rows, lefts, lengths, count - 1),
        np.stack(sums, axis=1) / areas[:, None],
        np.bincount(owners, values) / areas,
        highest,
    )


def boxes(
    owners: np.ndarray, rows: np.ndarray, lefts: np.ndarray, lengths: np.ndarray, count: int
) -> np.ndarray:
    """Left, top, width and height (N, 4) of the regions that own the runs."""
    low = np.full((2, count), np.iinfo(np.int64).max)
    high = np.zeros((2, count), np.int64)
    for axis, (first, last) in enumerate([(lefts, lefts + lengths), (rows, rows + 1)]):
        np.minimum.at(low[axis], owners, first)
        np.maximum.at(high[axis], owners, last)
    return np.concatenate([low, high - low]).T
