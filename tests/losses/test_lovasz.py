"""LovaszSoftmax against the worked definition, IoU itself, and a sort of the errors."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score

from flexunet_exp.losses import LovaszSoftmax
from flexunet_exp.losses.lovasz import RANKS
from tests.support.properties import examples

IGNORE = 255
STEP = 1 / RANKS


def two_class_logits(chances_of_one):
    chances = np.asarray(chances_of_one, np.float64)
    return np.log(np.stack([1 - chances, chances], axis=-1)).astype(np.float32)


def gradient_by_error(truth, chances):
    """d loss / d error of each pixel of a two-class mask, whose class 1 has these chances."""
    logits = tf.constant(two_class_logits(chances))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = LovaszSoftmax()(truth, logits)
    slopes = tape.gradient(value, logits)[..., 1].numpy() / (chances * (1 - chances))
    return float(value), np.where(np.asarray(truth) == 1, -slopes, slopes)


def sorted_terms(truth, chances):
    """Value and slopes by definition: sort, then differences of 1 - IoU in float64."""
    mine, errors = truth.ravel() == 1, np.abs((truth == 1) - chances).ravel()
    order = np.argsort(-errors, kind="stable")
    intersection = mine.sum() - mine[order].cumsum()
    union = mine.sum() + (~mine[order]).cumsum()
    slopes = np.empty(errors.shape)
    slopes[order] = np.diff(1 - intersection / union, prepend=0)
    return errors @ slopes, slopes.reshape(truth.shape)


def test_three_pixels_by_hand():
    truth = np.array([[[1, 0, 1, IGNORE]]], np.uint8)
    chances = np.array([[[0.9, 0.4, 0.3, 0.8]]])
    # Worst first 0.7 (true), 0.4 (false), 0.1 (true): IoU falls 2/2, 1/2, 1/3, 0/3.
    value, slopes = gradient_by_error(truth, chances)
    assert value == pytest.approx(0.7 * 1 / 2 + 0.4 * 1 / 6 + 0.1 * 1 / 3, rel=1e-6)
    np.testing.assert_allclose(slopes, [[[1 / 3, 1 / 6, 1 / 2, 0]]], rtol=1e-5)


@examples(60)
@given(seed=st.integers(0, 2**32 - 1), num_classes=st.integers(2, 4), background=st.booleans())
def test_of_hard_predictions_it_is_one_minus_iou(seed, num_classes, background):
    rng = np.random.default_rng(seed)
    truth = rng.choice([*range(num_classes), IGNORE], (2, 3, 3)).astype(np.uint8)
    prediction = rng.integers(0, num_classes, truth.shape)
    logits = 1e4 * np.eye(num_classes, dtype=np.float32)[prediction]
    valid = truth != IGNORE
    shown = [c for c in range(0 if background else 1, num_classes) if (truth == c).any()]
    expected = 0.0
    if shown:
        labels = {"labels": shown, "average": "macro"}
        expected = 1 - jaccard_score(truth[valid], prediction[valid], **labels)
    loss = LovaszSoftmax(include_background=background)
    assert float(loss(truth, logits)) == pytest.approx(expected, abs=1e-6)


def test_values_and_slopes_of_a_large_batch_equal_those_of_a_sort():
    rng = np.random.default_rng(0)
    truth = (rng.random((2, 100, 150)) < 0.05).astype(np.uint8)
    chances = 0.02 + 0.66 * rng.random(truth.shape) + 0.3 * truth
    value, slopes = gradient_by_error(truth, chances)
    expected, expected_slopes = sorted_terms(truth, chances)
    assert value == pytest.approx(expected, abs=1e-6)
    # Those of one rank share their slopes; the mean slope is 1 / 30000.
    np.testing.assert_allclose(slopes, expected_slopes, rtol=5e-3, atol=1e-7)


@pytest.mark.parametrize("center", [0.001, 0.5])
def test_errors_closer_than_a_rank_move_the_value_by_less_than_one(center):
    rng = np.random.default_rng(0)
    truth = (rng.random((1, 30, 30)) < 0.3).astype(np.uint8)
    errors = center + STEP * np.where(truth == 1, 1, 0) * rng.random(truth.shape)
    chances = np.where(truth == 1, 1 - errors, errors)
    value, slopes = gradient_by_error(truth, chances)
    assert abs(value - sorted_terms(truth, chances)[0]) < STEP
    assert slopes.sum() == pytest.approx(1, rel=1e-3)


def test_equal_errors_have_equal_slopes_wherever_they_are():
    truth = np.array([[[1, 0, 0], [0, 1, 0]]], np.uint8)
    _, slopes = gradient_by_error(truth, np.full(truth.shape, 0.5))
    # The six in any order take 1 - IoU from 0 to 1; true first 1/2 each, false first 1/6 each.
    of_true, of_false = (1 / 2 + 1 / 6) / 2, (0 + 1 / 6) / 2
    np.testing.assert_allclose(slopes, np.where(truth == 1, of_true, of_false), rtol=1e-5)


def test_logits_that_are_no_numbers_give_a_value_that_is_none_and_no_crash():
    truth = np.array([[[1, 0]]], np.uint8)
    logits = np.full((1, 1, 2, 2), np.nan, np.float32)
    assert np.isnan(LovaszSoftmax()(truth, logits))
