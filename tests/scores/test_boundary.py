"""The boundary F1 agrees with exact distances and with cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from flexunet_exp.data.masks import IGNORE
from flexunet_exp.scores.boundary import boundary_counts, boundary_f1
from tests.support.properties import examples

pytestmark = pytest.mark.filterwarnings("error")


def blobs(draw: np.random.Generator, shape: tuple[int, int], classes: int) -> np.ndarray:
    """A mask (H, W) of blobs of some classes, most of it background."""
    mask = np.zeros(shape, np.uint8)
    for index in range(1, classes):
        smooth = ndimage.gaussian_filter(draw.random(shape), 1.5)
        if draw.random() < 0.7:
            mask[smooth > np.quantile(smooth, draw.uniform(0.6, 0.98))] = index
    return mask


def slow_boundary(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1, mode="edge")
    neighbours = [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
    return mask & ~np.logical_and.reduce(neighbours)


def near(boundary: np.ndarray, tolerance: float) -> np.ndarray:
    if not boundary.any():
        return np.zeros_like(boundary)
    return ndimage.distance_transform_edt(~boundary) <= tolerance


def slow_counts(truth, prediction, classes: int, tolerance: float) -> np.ndarray:
    counts = np.zeros((classes, 4), np.int64)
    known = truth != IGNORE
    for index in range(1, classes):
        true = slow_boundary((truth == index) & known)
        predicted = slow_boundary((prediction == index) & known)
        matched, found = predicted & near(true, tolerance), true & near(predicted, tolerance)
        counts[index] = predicted.sum(), matched.sum(), true.sum(), found.sum()
    return counts


@examples(80)
@given(
    st.integers(0, 2**32),
    st.sampled_from([(1, 1), (23, 31), (40, 17)]),
    st.sampled_from([0, 1, 1.5, 2, 3, 7]),
)
def test_counts_are_those_of_exact_distances(seed, shape, tolerance):
    draw = np.random.default_rng(seed)
    truth, prediction = blobs(draw, shape, 4), blobs(draw, shape, 4)
    truth[draw.random(shape) < 0.02] = IGNORE
    found = boundary_counts(truth, prediction, 4, tolerance)
    np.testing.assert_array_equal(found, slow_counts(truth, prediction, 4, tolerance))
    f1 = boundary_f1(found)
    assert (np.isnan(f1) == (found[:, 2] == 0)).all()
    assert ((f1 >= 0) & (f1 <= 1) | np.isnan(f1)).all()


def square(left: int, side: int = 4) -> np.ndarray:
    mask = np.zeros((12, 14), np.uint8)
    mask[4 : 4 + side, left : left + side] = 1
    return mask


@pytest.mark.parametrize(
    ("shift", "tolerance", "matched"),
    [
        (0, 0, 12),
        # Moved by one column: top and bottom share 3 pixels each, and no side lies on another.
        (1, 0, 6),
        (1, 1, 12),
        # Moved by two: at a tolerance of 1 the outermost column of 4 is still out of reach.
        (2, 0, 4),
        (2, 1, 8),
        (2, 2, 12),
    ],
)
def test_a_shifted_square_matches_within_the_tolerance(shift, tolerance, matched):
    counts = boundary_counts(square(3), square(3 + shift), 2, tolerance)
    assert counts.tolist() == [[0, 0, 0, 0], [12, matched, 12, matched]]
    assert boundary_f1(counts)[1] == pytest.approx(matched / 12)


def test_the_tolerance_is_a_euclidean_distance():
    truth, prediction = np.zeros((2, 9, 9), np.uint8)
    truth[4, 4] = prediction[5, 5] = 1
    assert boundary_f1(boundary_counts(truth, prediction, 2, 1))[1] == 0
    assert boundary_f1(boundary_counts(truth, prediction, 2, 1.5))[1] == 1


def test_the_pictures_border_is_no_boundary():
    half = np.zeros((6, 8), np.uint8)
    half[:, :3] = 1
    assert boundary_counts(half, half, 2, 1)[1].tolist() == [6, 6, 6, 6]
    full = np.ones((6, 8), np.uint8)
    assert boundary_counts(full, half, 2, 1)[1].tolist() == [6, 0, 0, 0]
    assert np.isnan(boundary_f1(boundary_counts(full, half, 2, 1))[1])


def test_ignored_pixels_are_background_on_both_sides():
    truth, prediction = square(3), square(3)
    truth[:, :6] = IGNORE
    assert boundary_counts(truth, prediction, 2, 0)[1].tolist() == [4, 4, 4, 4]


def test_f1_of_counts_worked_by_hand():
    counts = np.array(
        [[0, 0, 0, 0], [8, 6, 12, 6], [8, 0, 12, 0], [0, 0, 12, 0], [8, 0, 0, 0], [0, 0, 0, 0]]
    )
    expected = [np.nan, 2 * 0.75 * 0.5 / 1.25, 0, 0, np.nan, np.nan]
    np.testing.assert_allclose(boundary_f1(counts), expected)
    np.testing.assert_allclose(boundary_f1(np.stack([counts, counts])), [expected] * 2)


def test_another_shape_is_refused():
    with pytest.raises(ValueError):
        boundary_counts(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2, 1)
