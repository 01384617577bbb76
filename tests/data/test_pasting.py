"""Defects of other training pictures, pasted: pixels and mask agree, and nothing is covered."""

from __future__ import annotations

import numpy as np
import pytest

from flexunet_exp.data.augmentation import PasteDefect, augment, traced
from flexunet_exp.data.augmentation.pasting import MARGIN, Donors, cuts_of

SIDE = 96


def donor_pair() -> tuple[np.ndarray, np.ndarray]:
    """A grey picture with a bright square of class 1 and a dark bar of class 2."""
    image = np.full((SIDE, SIDE, 3), 100, np.uint8)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[20:30, 20:30], mask[60:64, 50:80] = 1, 2
    image[mask == 1], image[mask == 2] = 220, 10
    return image, mask


@pytest.fixture
def donors() -> Donors:
    return Donors(lambda row: donor_pair(), np.array([[True, True, True]]), balanced=True)


def pasted(donors: Donors, image: np.ndarray, mask: np.ndarray, key: int, **settings):
    transform = PasteDefect(probability=1.0, **settings).bound(donors)
    return augment([transform], image, mask, (key,))


@pytest.mark.parametrize("blend", ["feather", "clone"])
def test_the_mask_is_where_the_defect_is_seen(donors, blend):
    clean = np.full((SIDE, SIDE, 3), 100, np.uint8)
    settings = {"number": 1, "degrees": 0, "factor": 1, "feather": 1, "blend": blend}
    for key in range(20):
        image, mask = pasted(donors, clean, np.zeros((SIDE, SIDE), np.uint8), key, **settings)
        assert len(np.unique(mask)) == 2
        (label,) = set(np.unique(mask)) - {0}
        assert np.count_nonzero(mask) == {1: 100, 2: 120}[label]
        changed = np.abs(image.astype(int) - 100).max(axis=-1) > 40
        np.testing.assert_array_equal(changed, mask > 0)


def test_a_defect_takes_the_brightness_of_its_new_place(donors):
    bright = np.full((SIDE, SIDE, 3), 130, np.uint8)
    settings = {"number": 1, "degrees": 0, "factor": 1, "feather": 1}
    for key in range(5):
        image, mask = pasted(donors, bright, np.zeros((SIDE, SIDE), np.uint8), key, **settings)
        label = mask.max()
        assert np.unique(image[mask > 0]).tolist() == [{1: 250, 2: 40}[label]]
        assert np.unique(image[mask == 0]).tolist() == [130]


def test_nothing_is_covered_and_the_inputs_stay(donors):
    image, mask = donor_pair()
    kept = image.copy(), mask.copy()
    for key in range(50):
        _, found = pasted(donors, image, mask, key, number=5)
        np.testing.assert_array_equal(found[mask > 0], mask[mask > 0])
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(mask, kept[1])


def test_both_classes_are_pasted_as_often_where_it_is_balanced():
    rare = np.array([[True, True, False]] * 9 + [[True, True, True]])
    counts = {}
    for balanced in (True, False):
        donors = Donors(lambda row: donor_pair(), rare, balanced)
        generator = np.random.default_rng(0)
        labels = [donors.draw(generator).label for _ in range(400)]
        counts[balanced] = labels.count(2) / 400
    assert 0.42 < counts[True] < 0.58 and 0.05 < counts[False] < 0.15


def test_each_area_of_a_class_is_cut_with_a_margin():
    image, mask = donor_pair()
    mask[80:84, 5:9] = 1
    first, second = cuts_of(image, mask, 1)
    assert first.region.shape == (10 + 2 * MARGIN, 10 + 2 * MARGIN) and first.region.sum() == 100
    assert second.region.sum() == 16 and second.label == 1


def test_a_defect_too_large_for_the_picture_is_left_out(donors):
    small = np.zeros((16, 16, 3), np.uint8)
    image, mask = pasted(donors, small, np.zeros((16, 16), np.uint8), 0, number=3, factor=1)
    assert not image.any() and not mask.any()


def test_sixteen_bits_are_pasted_as_eight(donors):
    deep_donors = Donors(
        lambda row: (donor_pair()[0].astype(np.uint16) * 257, donor_pair()[1]),
        np.array([[True, True, True]]),
        balanced=True,
    )
    clean, empty = np.full((SIDE, SIDE, 3), 100, np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    for key in range(5):
        image, mask = pasted(donors, clean, empty, key)
        deep, deep_mask = pasted(deep_donors, clean.astype(np.uint16) * 257, empty, key)
        np.testing.assert_array_equal(mask, deep_mask)
        assert np.abs(deep / 257 - image).max() <= 2


def pair_of(*defects: tuple[slice, slice, int]) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture with bright defects, each (rows, columns, class)."""
    image, mask = np.full((SIDE, SIDE, 3), 100, np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    for rows, columns, label in defects:
        image[rows, columns], mask[rows, columns] = 220, label
    return image, mask


def donors_of(pair: tuple[np.ndarray, np.ndarray]) -> Donors:
    return Donors(lambda row: pair, np.array([[True, True, False]]), balanced=False)


@pytest.mark.parametrize("blend", ["feather", "clone"])
def test_the_mask_is_right_where_a_defect_is_cut_off_by_the_edge(blend):
    """OpenCV's cloning would leave a border out, which the mask calls a defect."""
    edge = donors_of(pair_of((slice(0, 20), slice(40, 60), 1)))
    clean = np.full((SIDE, SIDE, 3), 100, np.uint8)
    settings = {"number": 1, "degrees": 0, "factor": 1, "feather": 1, "blend": blend}
    for key in range(10):
        image, mask = pasted(edge, clean, np.zeros((SIDE, SIDE), np.uint8), key, **settings)
        seen = np.abs(image.astype(int) - 100).max(axis=-1) > 40
        assert np.count_nonzero(mask) == 20 * 20
        np.testing.assert_array_equal(seen, mask > 0)


@pytest.mark.parametrize("blend", ["feather", "clone"])
def test_nothing_of_a_near_defect_is_pasted_without_its_mask(blend):
    near = donors_of(pair_of((slice(30, 50), slice(30, 50), 1), (slice(30, 50), slice(52, 70), 2)))
    clean = np.full((SIDE, SIDE, 3), 100, np.uint8)
    settings = {"number": 1, "degrees": 0, "factor": 1, "feather": 8, "blend": blend}
    for key in range(10):
        image, mask = pasted(near, clean, np.zeros((SIDE, SIDE), np.uint8), key, **settings)
        columns = np.flatnonzero((mask == 1).any(axis=0))
        rows = np.flatnonzero((mask == 1).any(axis=1))
        behind = image[rows[0] : rows[-1] + 1, columns[-1] + 4 :, 0].astype(int)
        assert np.abs(behind - 100).max(initial=0) <= 20, np.abs(behind - 100).max()


@pytest.mark.parametrize("blend", ["feather", "clone"])
def test_a_defect_of_the_picture_is_not_blended_into(blend):
    donors = donors_of(pair_of((slice(30, 50), slice(30, 50), 1)))
    image, mask = pair_of((slice(40, 56), slice(40, 56), 2))
    for key in range(40):
        found, _ = pasted(donors, image, mask, key, number=3, feather=8, blend=blend)
        np.testing.assert_array_equal(found[mask == 2], image[mask == 2])


def test_what_was_pasted_is_recorded():
    pairs = [pair_of((slice(30, 50), slice(30, 50), 1)), pair_of((slice(60, 70), slice(5, 15), 1))]
    donors = Donors(lambda row: pairs[row], np.array([[True, True]] * 2), balanced=False)
    clean = np.full((SIDE, SIDE, 3), 100, np.uint8)
    transform = PasteDefect(probability=1.0, number=1, degrees=0, factor=1).bound(donors)
    rows = set()
    for key in range(20):
        (_, mask), (used,) = traced([transform], clean, np.zeros((SIDE, SIDE), np.uint8), (key,))
        (told,) = used.values["pasted"]
        assert used.values["number"] == 1 and told["label"] == 1
        assert np.count_nonzero(mask) == {0: 400, 1: 100}[told["row"]]
        top = np.flatnonzero(mask.any(axis=1))[0] - MARGIN
        assert told["top"] == top
        rows.add(told["row"])
    assert rows == {0, 1}


def test_a_deep_defect_in_a_picture_of_eight_bits():
    image, mask = donor_pair()
    deep = Donors(lambda row: (image.astype(np.uint16) * 257, mask), np.ones((1, 3)), balanced=True)
    shallow = Donors(lambda row: (image, mask), np.ones((1, 3)), balanced=True)
    clean, empty = np.full((SIDE, SIDE, 3), 100, np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    for key in range(5):
        expected, _ = pasted(shallow, clean, empty, key, factor=1)
        found, _ = pasted(deep, clean, empty, key, factor=1)
        assert found.dtype == np.uint8
        assert np.abs(found.astype(int) - expected).max() <= 1
