"""Defects and what resizing leaves of them, against scipy's labels and direct resizing."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from flexunet_exp.data import defects, masks
from tests.support.properties import examples


def independent(mask: np.ndarray, size: tuple[int, int]) -> list[tuple[int, int, int]]:
    """Class, area and resized area of each defect: labels of scipy, resized as a picture."""
    found = []
    for index in sorted(set(np.unique(mask).tolist()) - {0, 255}):
        labels, count = ndimage.label(mask == index, structure=np.ones((3, 3)))
        small = cv2.resize(
            labels.astype(np.float32), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT
        )
        found += [
            (index, int((labels == n).sum()), int((small == n).sum())) for n in range(1, count + 1)
        ]
    return sorted(found)


@examples(60)
@given(
    st.integers(0, 10_000),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(8, 64), st.integers(8, 64)),
    st.floats(0.0, 0.6),
)
def test_defects_are_those_of_an_independent_count(seed, shape, size, density):
    random = np.random.default_rng(seed)
    noise = ndimage.uniform_filter(random.random(shape), 3)
    mask = np.where(noise < np.quantile(noise, density), random.integers(1, 3, shape), 0)
    mask = mask.astype(np.uint8)
    mask[random.random(shape) < 0.02] = masks.IGNORE
    found = defects.find(mask, size)
    assert sorted((d.class_index, d.area, d.resized) for d in found) == independent(mask, size)
    for one in found:
        box = mask[one.top : one.top + one.height, one.left : one.left + one.width]
        assert (box == one.class_index).sum() >= one.area


def test_a_defect_by_hand():
    mask = np.zeros((8, 8), np.uint8)
    mask[1, 1:4] = mask[2, 4] = 2  # one defect: its last pixel touches by a corner
    (one,) = defects.find(mask, (4, 4))  # rows and columns 1, 3, 5, 7 stay
    assert (one.class_index, one.area, one.resized) == (2, 4, 2)
    assert (one.left, one.top, one.width, one.height) == (1, 1, 4, 2)


def test_the_size_that_keeps_a_defect_is_the_first_that_does():
    mask = np.zeros((512, 512), np.uint8)
    mask[100:106, 200:206] = 1
    found = defects.find(mask, (64, 64))
    assert defects.is_lost(found[0].area, found[0].resized, 16)
    size = defects.keeping_size(found, (64, 64), 16, 64)
    assert size == (384, 384)  # 6 pixels of 512 are 4.5 of 384, and less than 4 of 320
    kept = [defects.loses_none(found, (side, side), 16) for side in range(64, 385, 64)]
    assert kept == [False] * 5 + [True]


@pytest.mark.parametrize("size", [(64, 128), (96, 32)])
def test_the_size_keeps_the_inputs_form_and_step(size):
    mask = np.zeros((300, 300), np.uint8)
    mask[7, 7:12] = 1
    found = defects.find(mask, size)
    height, width = defects.keeping_size(found, size, 16, 32)
    assert height % 32 == width % 32 == 0 and min(height, width) >= min(size)
    assert abs(width / height - size[1] / size[0]) <= 32 / height
    assert defects.loses_none(found, (height, width), 16)


def test_a_giant_region_costs_a_few_bytes_a_pixel():
    mask = np.ones((2000, 3000), np.uint8)
    tracemalloc.start()
    (one,) = defects.find(mask, (256, 128))
    assert tracemalloc.get_traced_memory()[1] < 16 * mask.size
    tracemalloc.stop()
    assert (one.area, one.resized, one.places) == (mask.size, 256 * 128, None)


@pytest.mark.parametrize(
    ("name", "size", "defect_class", "expected"),
    [
        ("grid", 256, "thread", (84, 6, 3)),
        ("screw", 256, "manipulated_front", (50, 2, 1)),
        ("screw", 512, "manipulated_front", (50, 15, 1)),
    ],
)
def test_smallest_defects_of_real_pictures(shared_data, name, size, defect_class, expected):
    folder = shared_data / "mvtec_anomaly_detection" / name / "ground_truth" / defect_class
    found, reference = [], []
    for path in sorted(folder.iterdir()):
        mask = masks.read_binary_mask(path, 1)
        found += defects.find(mask, (size, size))
        reference += independent(mask, (size, size))
    assert sorted((1, d.area, d.resized) for d in found) == sorted(reference)
    smallest = min(found, key=lambda one: one.resized)
    lost = sum(defects.is_lost(one.area, one.resized, 16) for one in found)
    assert (smallest.area, smallest.resized, lost) == expected
