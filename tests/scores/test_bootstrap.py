"""Resamples draw whole sources within their class; figures are those of the confusion counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexunet_exp.scores import bootstrap, confusions
from tests.support.properties import examples

pytestmark = pytest.mark.filterwarnings("error")

NAMES = ["background", "scratch", "dent", "crack"]


def random_counts(draw: np.random.Generator, images: int) -> np.ndarray:
    """Counts (images, 4, 4); most images lack some classes in truth, some lack all defects."""
    counts = draw.integers(0, 50, (images, 4, 4))
    counts[draw.random((images, 4)) < 0.5] = 0
    return counts


SOURCES = np.array(["a", "b", "a", "c", "d", "e", "e", "f", "g", "g"])
LABELS = np.array(["bent", "bent", "good", "good", "cut", "cut", "cut", "good", "good", "cut"])


def test_each_class_keeps_its_number_of_sources_in_every_resample():
    weights = bootstrap.resampled(SOURCES, LABELS, resamples=500)
    assert weights.shape == (500, 10) and np.issubdtype(weights.dtype, np.integer)
    # By each source's first image: a and b are bent, d and e cut, c, f and g good.
    drawn = {source: weights[:, list(SOURCES).index(source)] for source in "abcdefg"}
    for stratum in ("ab", "de", "cfg"):
        assert (sum(drawn[source] for source in stratum) == len(stratum)).all()
    assert all(set(column) >= {0, 1, 2} for column in drawn.values())


def test_images_of_a_source_move_together():
    weights = bootstrap.resampled(SOURCES, LABELS, resamples=200)
    for first, second in ((0, 2), (5, 6), (8, 9)):
        np.testing.assert_array_equal(weights[:, first], weights[:, second])


def test_resamples_depend_on_the_seed_and_not_on_the_order_of_images():
    weights = bootstrap.resampled(SOURCES, LABELS, 50, seed=3)
    np.testing.assert_array_equal(weights, bootstrap.resampled(SOURCES, LABELS, 50, seed=3))
    assert (weights != bootstrap.resampled(SOURCES, LABELS, 50, seed=4)).any()
    # Orders that leave each source's first image in front.
    order = np.array([8, 7, 5, 4, 3, 1, 0, 2, 6, 9])
    permuted = bootstrap.resampled(SOURCES[order], LABELS[order], 50, seed=3)
    np.testing.assert_array_equal(permuted, weights[:, order])


def test_a_class_of_one_source_is_in_every_resample_once():
    weights = bootstrap.resampled(["a", "b", "c"], ["x", "y", "y"], 20)
    assert (weights[:, 0] == 1).all()


def test_no_image_has_resamples_too():
    assert bootstrap.resampled([], [], 5).shape == (5, 0)


def test_interval_of_a_mean_agrees_with_theory():
    values = np.random.default_rng(1).normal(10, 2, 2000)
    weights = bootstrap.resampled(np.arange(2000), np.zeros(2000), resamples=4000)
    low, high = bootstrap.interval(weights @ values / 2000)
    expected = 2 * 1.96 * values.std() / math.sqrt(2000)
    assert high - low == pytest.approx(expected, rel=0.05)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=expected * 0.05)


def test_interval_leaves_out_what_is_undefined():
    values = np.concatenate([np.arange(101.0), [math.nan] * 7])
    assert bootstrap.interval(values) == pytest.approx((2.5, 97.5))
    assert bootstrap.interval(np.array([math.nan] * 3)) == pytest.approx(
        (math.nan, math.nan), nan_ok=True
    )


@examples(40)
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_figures_are_those_of_the_images_as_often_as_drawn(seed, images):
    draw = np.random.default_rng(seed)
    counts = random_counts(draw, images)
    weights = np.concatenate([np.ones((1, images), int), draw.integers(0, 3, (3, images))])
    found = {
        "dice": bootstrap.macro_dice(counts, weights),
        "iou": bootstrap.macro_iou(counts, weights),
        "defect_dice": bootstrap.defect_dice(counts, weights),
    }
    for figure, values in (
        ("dice", bootstrap.class_dice(counts, weights)),
        ("iou", bootstrap.class_iou(counts, weights)),
    ):
        found |= {f"{figure}/{name}": values[:, index] for index, name in enumerate(NAMES)}
    for index, row in enumerate(weights):
        figures = confusions.summary(counts.repeat(row, axis=0), NAMES)
        expected = {name: figures[name] for name in found}
        resample = {name: values[index] for name, values in found.items()}
        assert resample == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_a_class_without_truth_in_a_resample_leaves_its_mean():
    counts = np.zeros((2, 3, 3), int)
    counts[0, 1] = [2, 6, 0]
    counts[1, 2] = [0, 0, 5]
    counts[:, 0, 0] = 90
    dice = bootstrap.macro_dice(counts, np.array([[1, 1], [2, 0], [0, 2], [0, 0]]))
    assert dice.tolist() == pytest.approx([(12 / 14 + 1) / 2, 12 / 14, 1, math.nan], nan_ok=True)
