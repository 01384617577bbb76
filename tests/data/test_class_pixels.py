"""Pixel counts and class weights against direct counts and scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from flexunet_exp.data import class_pixels
from flexunet_exp.training import class_weights


def test_pixels_of_each_class_in_each_picture():
    stored = {"a": [[0, 0, 2]], "b": [[1, 255, 1], [2, 2, 2]]}
    rows = [("a", "a_mask", 3, 1), ("good", "", 5, 4), ("b", "b_mask", 3, 2), ("c", "known", 9, 9)]
    table = pd.DataFrame(rows, columns=["image", "mask", "width", "height"])

    def read(row):
        return np.array(stored[row.image], np.uint8)

    pixels = class_pixels.class_pixels(table, read, 4, {"c": np.array([1, 2, 3, 4])})
    assert pixels.tolist() == [[2, 0, 1, 0], [20, 0, 0, 0], [0, 2, 3, 0], [1, 2, 3, 4]]
    assert pixels.dtype == np.int64


def test_no_pictures_have_no_pixels():
    pixels = class_pixels.class_pixels(
        pd.DataFrame(columns=["image", "mask", "width", "height"]), lambda row: np.zeros(1), 3
    )
    assert pixels.shape == (0, 3)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=8))
def test_weights_are_those_of_scikit_learn(pixels):
    truth = np.repeat(np.arange(len(pixels)), pixels)
    expected = compute_class_weight("balanced", classes=np.arange(len(pixels)), y=truth)
    assert class_weights.balanced_weights(pixels) == pytest.approx(expected)


def test_class_without_pixels_weighs_nothing():
    assert class_weights.balanced_weights([6, 0, 2]) == pytest.approx([8 / 18, 0, 8 / 6])
    assert class_weights.balanced_weights(np.zeros(2, np.int64)) == [0, 0]


def test_effective_number_by_hand():
    # beta = 0.5: (1 - 0.5) / (1 - 0.5 ** n) is 1 for n = 1, 2/3 for n = 2, 1/2 for many.
    weights = class_weights.effective_number_weights([1000, 2, 0, 1], beta=0.5)
    total = 1 / 2 + 2 / 3 + 1
    assert weights == pytest.approx([3 / 2 / total, 2 / total, 0, 3 / total])


@given(st.lists(st.integers(1, 10**7), min_size=2, max_size=8))
def test_effective_number_lies_between_equal_and_inverse_frequency(pixels):
    counts = np.array(pixels, float)
    equal = class_weights.effective_number_weights(pixels, beta=0.0)
    assert equal == pytest.approx(np.ones(len(pixels)))
    weights = np.array(class_weights.effective_number_weights(pixels))
    rarest, commonest = counts.argmin(), counts.argmax()
    ratio = weights[rarest] / weights[commonest]
    assert 1 - 1e-9 <= ratio <= counts[commonest] / counts[rarest] * (1 + 1e-6)
    assert weights.mean() == pytest.approx(1)


def test_no_pixels_at_all_weigh_nothing():
    assert class_weights.effective_number_weights([0, 0]) == [0, 0]
