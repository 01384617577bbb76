"""Logits that a predictor keeps for the next pass over the same pictures."""

from __future__ import annotations

import numpy as np
import pytest

from flexunet_exp.prediction.kept_logits import KeptLogits
from flexunet_exp.prediction.predictor import Predictor


class Counting:
    """A network of two classes that counts its batches."""

    inputs = (np.zeros(0, np.uint8),)

    def __init__(self) -> None:
        self.batches = 0

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        self.batches += 1
        return np.stack([images[..., 0] / 50, images[..., 1] / 50], axis=-1).astype(np.float32)


def pictures(number: int) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (20, 30, 3), np.uint8) for _ in range(number)]


def probabilities(predictor: Predictor, images: list[np.ndarray]) -> list[np.ndarray]:
    return [np.concatenate([one.probabilities for one in bands]) for bands in predictor(images)]


@pytest.mark.parametrize("how", [{}, {"tile": (8, 12)}, {"tta": "flips"}], ids=str)
def test_a_second_pass_needs_no_batch_and_gives_the_same(how):
    network, images = Counting(), pictures(5)
    keeping = Predictor(network, (16, 16), 2, **how).keeping()
    first = probabilities(keeping, images)
    once = network.batches
    again = probabilities(keeping, images)
    cooler = probabilities(keeping.calibrated(np.float32([2, 2])), images)
    assert network.batches == once
    plain = Predictor(network, (16, 16), 2, **how)
    expected = [probabilities(one, images) for one in (plain, plain, plain.calibrated(2))]
    np.testing.assert_array_equal([first, again, cooler], expected)


def test_the_first_logits_are_kept_and_the_last_of_the_others():
    size = 4 * 6
    kept, computed = KeptLogits(most_bytes=2 * size, recent_bytes=size), []

    def doubled(inputs: np.ndarray) -> np.ndarray:
        computed.append(int(inputs[0]))
        return inputs.astype(np.float32) * 2

    for value in (1, 2, 3, 3, 4, 4, 1, 2, 3, 3, 4):
        found = kept.of(np.full(6, value, np.uint8), doubled)
        np.testing.assert_array_equal(found, np.full(6, 2 * value))
    assert computed == [1, 2, 3, 4, 3, 4]


def test_inputs_of_another_type_or_shape_are_others():
    kept = KeptLogits()
    inputs = [np.zeros(8, np.uint8), np.zeros(4, np.uint16), np.zeros((4, 2), np.uint8)]
    for one in inputs:
        assert kept.of(one, np.copy).shape == one.shape


def test_logits_that_are_kept_cannot_be_written():
    found = KeptLogits().of(np.zeros(3), np.copy)
    with pytest.raises(ValueError, match="read-only"):
        found += 1


def test_logits_larger_than_the_limits_are_given_all_the_same():
    kept = KeptLogits(most_bytes=1, recent_bytes=1)
    for _ in range(2):
        np.testing.assert_array_equal(kept.of(np.arange(9), np.copy), np.arange(9))
    assert not kept.first and not kept.recent and (kept.left, kept.recent_left) == (1, 1)
