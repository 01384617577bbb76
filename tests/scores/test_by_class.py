"""Class by class gives what SciPy and NumPy give over the last axis, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.special import softmax

from flexunet_exp.scores import by_class
from tests.support.properties import examples

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(2, 20))


def values(shape: tuple[int, ...], seed: int, levels: int) -> np.ndarray:
    """Random values (…, C) of which many are equal where there are few `levels`."""
    drawn = np.random.default_rng(seed).integers(0, levels, shape)
    return (drawn / np.float32(levels) * 30 - 15).astype(np.float32)


@examples(100)
@given(shape=SHAPES, seed=st.integers(0, 9), levels=st.sampled_from([2, 5, 2**20]))
@example(shape=(40, 40, 8), seed=0, levels=2**20)  # NumPy adds eight values in pairs
def test_softmax_is_that_of_scipy(shape, seed, levels):
    logits = values((2, *shape), seed, levels)
    np.testing.assert_array_equal(by_class.softmax(logits), softmax(logits, axis=-1))


@examples(100)
@given(shape=SHAPES, seed=st.integers(0, 9))
def test_shares_are_those_of_numpy_for_a_part_of_the_columns_too(shape, seed):
    whole = values(shape, seed, 2**20) + np.float32(16)
    part = whole[:, : max(1, shape[1] // 2)]
    expected = part / part.sum(axis=-1, keepdims=True)
    np.testing.assert_array_equal(by_class.shares(part), expected)


@pytest.mark.parametrize("block_values", [by_class.BLOCK_VALUES, 60])
@pytest.mark.parametrize("background", [0, 12, 40])  # more of it: few pixels are of other classes
@pytest.mark.parametrize("levels", [2, 5, 2**20])
@pytest.mark.parametrize("shape", [(1, 1, 2), (7, 9, 3), (40, 33, 6), (13, 5, 20)])
def test_the_most_probable_class_is_the_first_of_equal_ones(
    monkeypatch, shape, levels, background, block_values
):
    monkeypatch.setattr(by_class, "BLOCK_VALUES", block_values)
    logits = values(shape, 1, levels)
    logits[..., 0] += background
    probabilities = softmax(logits, axis=-1)
    before = probabilities.copy()
    mask, certainty = np.full(shape[:2], 99, np.uint8), np.empty(shape[:2], np.float16)
    least = by_class.most_probable(probabilities, mask, certainty)
    np.testing.assert_array_equal(mask, probabilities.argmax(axis=-1))
    np.testing.assert_array_equal(certainty, probabilities.max(axis=-1).astype(np.float16))
    assert least == probabilities[..., 0].min()
    np.testing.assert_array_equal(probabilities, before)  # it only reads them


def test_pixels_without_a_number_are_of_the_first_class_as_with_numpy():
    probabilities = np.full((40, 40, 3), np.float32(1 / 3))
    probabilities[3, 4] = np.nan
    mask, certainty = np.empty((40, 40), np.uint8), np.empty((40, 40), np.float16)
    assert np.isnan(by_class.most_probable(probabilities, mask, certainty))
    np.testing.assert_array_equal(mask, probabilities.argmax(axis=-1))
    np.testing.assert_array_equal(certainty, probabilities.max(axis=-1).astype(np.float16))


@pytest.mark.parametrize("high", [0.5, 0.51, 0.52])
def test_half_of_the_probability_is_not_surely_the_most(high):
    probabilities = np.zeros((30, 30, 3), np.float32)
    probabilities[..., 0], probabilities[..., 2] = 0.9, 0.1
    probabilities[7, 8] = (1 - high, 0, high)
    probabilities[9, 8] = (0.5, 0, 0.5)  # equal: the first
    mask, certainty = np.empty((30, 30), np.uint8), np.empty((30, 30), np.float32)
    by_class.most_probable(probabilities, mask, certainty)
    np.testing.assert_array_equal(mask, probabilities.argmax(axis=-1))
    np.testing.assert_array_equal(certainty, probabilities.max(axis=-1))
