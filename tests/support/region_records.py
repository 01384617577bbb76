"""Small records of regions, drawn as pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flexunet_exp.scores import region_record, regions
from flexunet_exp.scores.region_record import RegionRecord

CLASSES = ("background", "scratch", "dent")
SIDE = 24


class Drawn:
    """A picture of two classes on which squares are drawn: probabilities, and truth."""

    def __init__(self, source: str):
        self.source = source
        self.levels = np.zeros((2, SIDE, SIDE), np.uint8)
        self.truth = np.zeros((SIDE, SIDE), np.uint8)

    def predicted(self, index: int, left: int, side: int, probability: float) -> Drawn:
        """A square at the top of the picture, as if predicted as a class."""
        self.levels[index - 1, :side, left : left + side] = regions.rounded(np.array(probability))
        return self

    def true(self, index: int, left: int, side: int) -> Drawn:
        """A square defect at the top of the picture."""
        self.truth[:side, left : left + side] = index
        return self


def record_of(pictures: Sequence[Drawn]) -> RegionRecord:
    return region_record.of_pictures(
        [f"{number}" for number in range(len(pictures))],
        [one.source for one in pictures],
        CLASSES,
        [regions.find_regions(one.levels, one.truth) for one in pictures],
    )
