"""Temperatures: known ones are found again, classes of few sources share one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from flexunet_exp.scores import temperature
from flexunet_exp.scores.temperature import Pixels

CLASSES = 4


def drawn(temperatures: np.ndarray | float, number: int = 60_000, seed: int = 0) -> Pixels:
    """Pixels whose classes are drawn from softmax(logits / temperatures)."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 3, (number, CLASSES)).astype(np.float32)
    shares = softmax(logits / temperatures, axis=1).cumsum(axis=1)
    truth = (draw.random((number, 1)) > shares[:, :-1]).sum(axis=1)
    return Pixels(logits, truth, np.ones(number))


@pytest.mark.parametrize("known", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_within_2_percent(known):
    found = temperature.fit(drawn(known), [0] * CLASSES)
    np.testing.assert_allclose(found, known, rtol=0.02)
    assert len(set(found)) == 1


def test_the_temperature_is_where_another_minimiser_finds_it():
    pixels = drawn(1.7, 4000)
    weights = np.random.default_rng(1).uniform(0, 9, 4000)

    def loss(value: float) -> float:
        own = softmax(pixels.logits.astype(float) / value, axis=1)[np.arange(4000), pixels.truth]
        return -np.average(np.log(own), weights=weights)

    expected = minimize_scalar(loss, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-8})
    found = temperature.fit(pixels._replace(weights=weights), [0] * CLASSES)
    assert found[0] == pytest.approx(expected.x, rel=1e-4)


def test_temperatures_of_classes_are_found_and_classes_of_one_group_share_one():
    known = np.array([1.0, 3.0, 0.6, 1.0])
    found = temperature.fit(drawn(known, 200_000), [0, 1, 2, 0])
    np.testing.assert_allclose(found, known, rtol=0.03)
    assert found[0] == found[3]


def test_a_weight_counts_as_so_many_pixels():
    pixels = drawn(2.0, 3000)
    twice = np.arange(3000) < 1000
    doubled = Pixels(*(np.concatenate([one, one[twice]]) for one in pixels))
    weighted = temperature.fit(pixels._replace(weights=1.0 + twice), [0] * CLASSES)
    np.testing.assert_allclose(weighted, temperature.fit(doubled, [0] * CLASSES), rtol=1e-5)


def test_a_sample_without_errors_ends_at_the_least_temperature():
    logits = np.eye(3, dtype=np.float32)[[0, 1, 2] * 10]
    found = temperature.fit(Pixels(logits, np.arange(30) % 3, np.ones(30)), [0, 0, 0])
    np.testing.assert_allclose(found, temperature.LEAST)


def test_a_class_has_its_own_temperature_from_the_least_number_of_sources_on():
    assert temperature.groups([50, 10, 9, 30, 0], least=10) == [0, 1, 0, 2, 0]
    assert temperature.groups([50, 3], least=10) == [0, 0]
