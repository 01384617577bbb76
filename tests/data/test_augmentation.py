"""Online augmentation: image and mask move together, reproducibly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexunet_exp import config
from flexunet_exp.data import augment

GEOMETRIC = [
    augment.HorizontalFlip(probability=1),
    augment.VerticalFlip(probability=1),
    augment.QuarterTurn(probability=1),
]
PHOTOMETRIC = [augment.Brightness(probability=1), augment.Contrast(probability=1)]


def pair(seed: int, height: int, width: int):
    mask = np.random.default_rng(seed).integers(0, 4, (height, width), dtype=np.uint8)
    return np.repeat(mask[..., None] * 60, 3, axis=2), mask


@given(st.integers(0, 999), st.integers(1, 20), st.integers(1, 20), st.integers(0, 50))
def test_geometric_transforms_keep_image_and_mask_twins(seed, height, width, index):
    image, mask = augment.augment(GEOMETRIC, *pair(seed, height, width), key=(seed, 0, index))
    np.testing.assert_array_equal(image[..., 0], mask * 60)
    assert image.shape == (height, width, 3) and image.dtype == mask.dtype == np.uint8


@pytest.mark.parametrize("transform", PHOTOMETRIC)
def test_photometric_transforms_leave_the_mask(transform):
    image, mask = pair(3, 16, 16)
    changed, same = augment.augment([transform], image, mask, key=(0, 0, 1))
    np.testing.assert_array_equal(same, mask)
    assert changed.dtype == np.uint8 and (changed != image).any()


def test_contrast_and_brightness_by_hand():
    image = np.array([[[0, 100, 200]]], np.uint8)
    np.testing.assert_array_equal(augment.remap(image, np.arange(256) + 60), [[[60, 160, 255]]])
    np.testing.assert_array_equal(augment.remap(image, np.arange(256) * 0.5), [[[0, 50, 100]]])


def test_the_result_depends_on_seed_epoch_and_index_only():
    transforms = GEOMETRIC + PHOTOMETRIC
    results = {
        key: augment.augment(transforms, *pair(1, 32, 32), key=key)[0].tobytes()
        for key in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    }
    assert len(set(results.values())) == 4
    for key, expected in results.items():
        assert augment.augment(transforms, *pair(1, 32, 32), key=key)[0].tobytes() == expected


def test_probability_is_the_share_of_pictures_changed():
    transform = augment.HorizontalFlip(probability=0.25)
    image, mask = pair(2, 8, 8)
    changed = [
        (augment.augment([transform], image, mask, key=(0, 0, i))[1] != mask).any()
        for i in range(2000)
    ]
    assert abs(np.mean(changed) - 0.25) < 0.04  # four standard deviations


def test_turns_reach_all_four_orientations():
    image, mask = pair(5, 9, 9)
    seen = {
        augment.augment([augment.QuarterTurn(0.75)], image, mask, key=(0, 0, i))[1].tobytes()
        for i in range(100)
    }
    assert seen == {np.ascontiguousarray(np.rot90(mask, turns)).tobytes() for turns in range(4)}


def test_the_light_list_builds_from_its_yaml(compose):
    nodes = compose("train", "augmentation=light").augmentation.transforms
    assert [type(config.build(node)) for node in nodes] == [
        augment.HorizontalFlip,
        augment.VerticalFlip,
        augment.QuarterTurn,
        augment.Brightness,
        augment.Contrast,
    ]
