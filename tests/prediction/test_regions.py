"""Regions are those that OpenCV measures, class by class."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from flexunet_exp.prediction import regions
from flexunet_exp.prediction.regions import Region
from tests.support.properties import examples

NAMES = ("background", "a", "b", "c")


def by_opencv(
    mask: np.ndarray, certainty: np.ndarray, min_area: int, min_probability: float
) -> tuple[np.ndarray, list[Region]]:
    """The kept mask and the regions, from OpenCV's statistics and the pixels of each label."""
    kept, found = mask.copy(), []
    for index, name in enumerate(NAMES[1:], start=1):
        count, labels, stats, centres = cv2.connectedComponentsWithStats(
            (mask == index).astype(np.uint8), connectivity=8
        )
        for label in range(1, count):
            own = labels == label
            total = sum(certainty[own].astype(np.float64).tolist())  # one after the other
            left, top, width, height, area = stats[label].tolist()
            mean, highest = total / area, float(certainty[own].max())
            if area < min_area or mean < min_probability:
                kept[own] = 0
                continue
            share = area / mask.size
            box = (area, share, left, top, width, height)
            found.append(Region(name, *box, *centres[label].tolist(), mean, highest))
    return kept, found


@examples(150)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    seed=st.integers(0, 99),
    share=st.sampled_from([0.0, 0.02, 0.3, 0.6, 1.0]),
    grain=st.integers(1, 7),
    min_area=st.sampled_from([0, 1, 4]),
    min_probability=st.sampled_from([0.0, 0.5]),
)
@example(64, 64, 0, 0.3, 1, 1, 0.0)
@example(3, 3, 0, 1.0, 7, 1, 0.0)  # one region is the whole picture: runs end with their rows
def test_regions_are_those_of_opencv(height, width, seed, share, grain, min_area, min_probability):
    random = np.random.default_rng(seed)
    coarse = random.integers(1, 4, (height // grain + 1, width // grain + 1))
    coarse = coarse * (random.random(coarse.shape) < share)
    mask = np.kron(coarse, np.ones((grain, grain)))[:height, :width].astype(np.uint8)
    certainty = random.random((height, width)).astype(np.float16)
    before = mask.copy()
    kept, found = regions.find(mask, certainty, NAMES, min_area, min_probability)
    expected, listed = by_opencv(mask, certainty, min_area, min_probability)
    np.testing.assert_array_equal(kept, expected)
    assert found == listed
    np.testing.assert_array_equal(mask, before)
