"""Rules: which pixels of a picture remain defects, and whether its part is stopped for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from flexunet_exp.scores.regions import LEVELS, STEPS, THRESHOLDS

PIXEL, REGION, PART = "pixel", "region", "part"
LEVEL_NAMES = (PIXEL, REGION, PART)


class Shape(NamedTuple):
    """What a region must be to remain."""

    min_area: int = 1  # pixels
    min_probability: float = 0.0  # the mean over its pixels, 0..1


class ClassRule(NamedTuple):
    """A class's threshold, as a place in `regions.THRESHOLDS`, and the shape of its regions."""

    place: int
    shape: Shape = Shape()

    @property
    def threshold(self) -> float:
        return float(THRESHOLDS[self.place])


@dataclass(frozen=True)
class Rule:
    """A rule for each defect class; a part is stopped if a region of any class remains."""

    of_class: Mapping[str, ClassRule]

    def mask(self, levels: np.ndarray) -> np.ndarray:
        """The mask (H, W) uint8 of rounded probabilities (C - 1, H, W) in the order of classes.

        Where several classes remain, the most probable one counts.
        """
        mask = np.zeros(levels.shape[1:], np.uint8)
        highest = np.zeros(levels.shape[1:], np.uint8)
        for index, (level, rule) in enumerate(self.pairs(levels), start=1):
            remains = remaining(level, rule.place, rule.shape) & (level > highest)
            mask[remains] = index
            highest[remains] = level[remains]
        return mask

    def margin(self, levels: np.ndarray) -> float:
        """How far the thresholds could rise, or must fall, for the decision to turn.

        At least 0 for a stopped part, below 0 for one that passes, in steps of 0.05.
        """
        margins = [
            (highest_place(level, rule) - rule.place) / 20 for level, rule in self.pairs(levels)
        ]
        return round(max(margins), 2)

    def pairs(self, levels: np.ndarray) -> Sequence[tuple[np.ndarray, ClassRule]]:
        return list(zip(levels, self.of_class.values(), strict=True))


def remaining(level: np.ndarray, place: int, shape: Shape) -> np.ndarray:
    """The pixels (H, W) of a class's regions above a threshold that have this shape."""
    is_above = level >= LEVELS[place]
    if shape == Shape() or not is_above.any():
        return is_above
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        is_above.view(np.uint8), connectivity=8
    )
    areas = stats[:, cv2.CC_STAT_AREA]
    inside = labels[is_above]
    totals = np.bincount(inside, level[is_above], minlength=count)
    means = totals / np.maximum(areas, 1) / STEPS  # the background can be empty
    stays = (areas >= shape.min_area) & (means >= shape.min_probability)
    stays[0] = False
    return stays[labels]


def highest_place(level: np.ndarray, rule: ClassRule) -> int:
    """The highest threshold at which the picture is stopped as at the rule's own; -1 for none.

    From the rule's threshold up while regions remain, or down until one does.
    """
    place = rule.place
    if remaining(level, place, rule.shape).any():
        while place + 1 < len(LEVELS) and remaining(level, place + 1, rule.shape).any():
            place += 1
        return place
    while place >= 0 and not remaining(level, place, rule.shape).any():
        place -= 1
    return place
