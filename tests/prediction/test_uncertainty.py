"""Uncertainty: by hand with NumPy, the same in bands, and refused where it has no meaning."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from flexunet_exp.errors import InputError
from flexunet_exp.prediction import predictor, uncertainty
from flexunet_exp.prediction.predictor import Ensemble, Predictor

CLASSES = 3


class Noise:
    """A network whose logits depend on the picture and on a seed."""

    inputs = (np.zeros(0, np.uint8),)

    def __init__(self, seed: int):
        self.weights = np.random.default_rng(seed).normal(0, 0.02, (3, CLASSES)).astype(np.float32)

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        return images.astype(np.float32) @ self.weights


def networks(number: int, **settings) -> list[Predictor]:
    return [Predictor(Noise(seed), (8, 8), 2, **settings) for seed in range(number)]


def picture(height: int = 20, width: int = 13) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def measured(network: Predictor | Ensemble, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The mean probabilities and the map of one picture."""
    into = np.full(picture().shape[:2], np.nan, np.float32)
    (bands,) = uncertainty.predicted(network, [network.ready(picture())], kind)
    parts = [band.probabilities for band in uncertainty.kept(bands, into)]
    return np.concatenate(parts), into


def whole(network: Predictor) -> np.ndarray:
    (bands,) = network([picture()])
    return np.concatenate([band.probabilities for band in bands]).astype(np.float64)


@pytest.mark.parametrize("settings", [{}, {"tile": (8, 8)}], ids=["whole", "tiles"])
@pytest.mark.parametrize("band_values", [predictor.BAND_VALUES, 100])
def test_entropy_and_disagreement_are_those_of_numpy(monkeypatch, settings, band_values):
    monkeypatch.setattr(predictor, "BAND_VALUES", band_values)
    members = networks(3, **settings)
    each = np.stack([whole(one) for one in members])
    mean = each.mean(axis=0)
    of_mean = -(mean * np.log(mean)).sum(axis=-1) / np.log(CLASSES)
    of_each = -(each * np.log(each)).sum(axis=-1) / np.log(CLASSES)
    probabilities, entropy = measured(Ensemble(members), "entropy")
    np.testing.assert_allclose(probabilities, mean, atol=1e-5)
    np.testing.assert_allclose(entropy, of_mean, atol=1e-5)
    probabilities, folds = measured(Ensemble(members), "folds")
    np.testing.assert_allclose(probabilities, mean, atol=1e-5)
    np.testing.assert_allclose(folds, of_mean - of_each.mean(axis=0), atol=1e-5)
    assert folds.max() > 0.01


def test_networks_that_agree_do_not_disagree_though_they_are_unsure():
    _, folds = measured(Ensemble(networks(1) * 3), "folds")
    _, entropy = measured(networks(1)[0], "entropy")
    assert (folds >= 0).all() and folds.max() < 1e-5 < entropy.min()


def test_uncertainty_is_1_where_all_classes_are_alike_and_0_where_one_is_sure():
    probabilities = np.array([[1 / 3] * 3, [1, 0, 0]], np.float32)
    np.testing.assert_allclose(uncertainty.entropy(probabilities), [1, 0], atol=1e-6)


def test_one_network_cannot_disagree():
    (alone,) = networks(1)
    with pytest.raises(InputError, match="run=A,B, or a multirun.* uncertainty=entropy"):
        uncertainty.check("folds", alone)
    uncertainty.check("entropy", alone)
    uncertainty.check("folds", Ensemble([alone]))


@pytest.mark.parametrize("settings", [{}, {"tile": (8, 8)}, {"tta": "flips"}], ids=str)
def test_temperatures_divide_the_logits_of_every_view_and_tile(settings):
    (network,) = networks(1, **settings)
    own = np.array([2.0, 0.5, 1.5], np.float32)
    other = Noise(0)
    other.weights = other.weights / own
    expected = whole(Predictor(other, (8, 8), 2, **settings))
    np.testing.assert_allclose(whole(network.calibrated(own)), expected, atol=1e-6)
    assert network.temperatures is None  # the network itself is as it was


def test_each_network_is_divided_by_its_own_temperatures():
    first, second = networks(2)
    both = Ensemble([first.calibrated(np.float32([2] * 3)), second])
    inputs = np.stack([first.prepared(picture())])
    logits = [one.logits(inputs)[0] for one in (first, second)]
    expected = (softmax(logits[0] / 2, axis=-1) + softmax(logits[1], axis=-1)) / 2
    found = whole(both)
    np.testing.assert_allclose(found, predictor.resized(expected, (20, 13)), atol=1e-5)
