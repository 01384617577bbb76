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
    for index in range(1, len(class_names)):
        is_class = (mask == index).astype(np.uint8)
        if not is_class.any():
            continue
        count, labels, stats, centres = cv2.connectedComponentsWithStats(is_class, connectivity=8)
        means, highest = probabilities_of(labels, certainty, count)
        stays = (stats[:, cv2.CC_STAT_AREA] >= min_area) & (means >= min_probability)
        stays[0] = True  # pixels of other classes
        if not stays.all():
            kept[~stays[labels]] = 0
        for number in np.flatnonzero(stays)[1:]:
            left, top, width, height, area = stats[number].tolist()
            box = (area, area / mask.size, left, top, width, height)
            x, y = centres[number].tolist()
            sure = (float(means[number]), float(highest[number]))
            regions.append(Region(class_names[index], *box, x, y, *sure))
    return kept, regions


def probabilities_of(
    labels: np.ndarray, certainty: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and highest probability of each of `count` labels; 0 for label 0, no region."""
    inside = np.flatnonzero(labels)
    owners = labels.ravel()[inside]
    values = certainty.ravel()[inside].astype(np.float64)
    sizes = np.bincount(owners, minlength=count)
    means = np.bincount(owners, values, minlength=count) / np.maximum(sizes, 1)
    highest = np.zeros(count)
    np.maximum.at(highest, owners, values)
    return means, highest
