"""The expected calibration error against a plain loop, and counts that add up."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import softmax

from flexunet_exp.data.masks import IGNORE
from flexunet_exp.scores import reliability
from flexunet_exp.scores.reliability import ALL, DEFECT


def picture(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    probabilities = softmax(draw.normal(0, 2, (17, 23, 3)), axis=-1).astype(np.float32)
    truth = draw.choice([0, 0, 0, 1, 2, IGNORE], (17, 23)).astype(np.uint8)
    return probabilities, truth


def pixels_of(probabilities: np.ndarray, truth: np.ndarray, group: str):
    for own, true in zip(probabilities.reshape(-1, 3), truth.ravel(), strict=True):
        predicted = int(own.argmax())
        if true != IGNORE and (group == ALL or true > 0 or predicted > 0):
            yield float(own[predicted]), predicted == true, -math.log(own[true])


@pytest.mark.parametrize("group", [ALL, DEFECT])
def test_the_figures_are_those_of_a_plain_loop(group):
    found = list(pixels_of(*picture(), group))
    error = 0.0
    for number in range(15):
        inside = [one for one in found if number / 15 < one[0] <= (number + 1) / 15]
        if inside:
            confidence = sum(one[0] for one in inside) / len(inside)
            right = sum(one[1] for one in inside) / len(inside)
            error += len(inside) / len(found) * abs(right - confidence)
    counted = reliability.counts(*picture())
    assert reliability.ece(counted, group) == pytest.approx(error, rel=1e-5)
    mean = sum(one[2] for one in found) / len(found)
    assert reliability.nll(counted, group) == pytest.approx(mean, rel=1e-5)
    assert reliability.pixels(counted, group) == len(found)


def test_counts_of_bands_add_up_to_those_of_the_picture():
    probabilities, truth = picture()
    parts = [reliability.counts(probabilities[rows], truth[rows]) for rows in BANDS]
    np.testing.assert_allclose(sum(parts), reliability.counts(probabilities, truth), rtol=1e-6)


BANDS = (slice(0, 5), slice(5, 6), slice(6, 17))


def test_sure_and_right_is_honest_and_sure_and_wrong_is_not():
    sure = np.eye(3, dtype=np.float32)[[[0, 1, 2]]]
    right, wrong = np.array([[0, 1, 2]]), np.array([[1, 2, 0]])
    assert reliability.ece(reliability.counts(sure, right)) == 0
    counted = reliability.counts(sure, wrong)
    assert reliability.ece(counted) == 1 and math.isfinite(reliability.nll(counted))


def test_without_pixels_nothing_is_defined():
    probabilities, truth = picture()
    counted = reliability.counts(probabilities, np.full_like(truth, IGNORE))
    assert math.isnan(reliability.ece(counted)) and math.isnan(reliability.nll(counted))


def test_the_curve_has_the_bins_that_hold_pixels():
    counted = reliability.counts(*picture())
    confidence, right, share = reliability.curve(counted)
    assert (np.diff(confidence) > 0).all() and share.sum() == pytest.approx(1)
    weighed = (np.abs(right - confidence) * share).sum()
    assert weighed == pytest.approx(reliability.ece(counted))
