"""The sample that temperatures are fitted on, and validation pictures that cannot give any."""

from __future__ import annotations

import logging
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.masks import IGNORE
from flexunet_exp.errors import InputError
from flexunet_exp.evaluation import calibrating, scoring
from flexunet_exp.evaluation.settings import ScoreSettings
from flexunet_exp.prediction.predictor import Predictor
from flexunet_exp.prediction.settings import PredictSettings
from flexunet_exp.scores import reliability
from flexunet_exp.training.attempt import Attempt


class Grey:
    """A network of six classes whose logits are the picture's first channel, times the class."""

    inputs = (np.zeros(0, np.uint8),)

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        return images[..., :1].astype(np.float32) / 255 * np.arange(6, dtype=np.float32)


@pytest.fixture(scope="module")
def dataset(tiny_dataset):
    return datasets.load(tiny_dataset())


def truths_of(dataset) -> list[np.ndarray]:
    samples = datasets.rows(dataset.split("valid"))
    return [dataset.layout.read_mask(one) for one in samples]


@pytest.mark.parametrize("most", [2**18, 400])
def test_weights_give_every_class_the_pixels_that_it_has(dataset, monkeypatch, most):
    monkeypatch.setattr(calibrating, "MOST_PIXELS", most)
    pixels, sources = calibrating.sample(Predictor(Grey(), (64, 64), 4), dataset)
    truths = truths_of(dataset)
    expected = np.bincount(np.concatenate([one.ravel() for one in truths]), minlength=6)
    found = np.bincount(pixels.truth, weights=pixels.weights, minlength=6)
    np.testing.assert_allclose(found, expected)
    assert len(pixels.truth) <= most or most == 2**18 and len(pixels.truth) == expected.sum()
    assert sources == [sum(index in one for one in truths) for index in range(6)]


def test_the_sample_is_the_same_each_time_and_shows_defects(dataset, monkeypatch):
    monkeypatch.setattr(calibrating, "MOST_PIXELS", 400)
    predictor = Predictor(Grey(), (64, 64), 4)
    first, second = (calibrating.sample(predictor, dataset)[0] for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.count_nonzero(first.truth) > 0.2 * len(first.truth)  # of few per cent of all pixels


@pytest.mark.parametrize("tile", [(64, 64), (48, 48), (100, 40)])
def test_logits_and_classes_belong_to_one_pixel_in_tiles_too(dataset, tile):
    """Predicted at the tiles' own size, each logit shows the grey value of its pixel."""
    predictor = Predictor(Grey(), tile, 3, tile)
    samples = list(datasets.rows(dataset.split("valid")))
    found = list(calibrating.pieces(predictor, dataset, samples))
    assert len(found) == sum(calibrating.number_of_pieces(predictor, one) for one in samples)
    for piece, logits in calibrating.outputs(predictor, found):
        np.testing.assert_allclose(logits[..., 1], piece.inputs[..., 0] / np.float32(255))
        assert (piece.truth == IGNORE).any() == (max(tile) > 64)
    painted = sum(np.count_nonzero(piece.truth != IGNORE) for piece in found)
    assert painted >= len(samples) * 64 * 64


def test_ignored_pixels_are_not_drawn():
    truth = np.full((8, 8), IGNORE, np.uint8)
    truth[0, :3] = 1
    logits = np.zeros((8, 8, 2), np.float32)
    drawn = calibrating.chosen(logits, truth, 10, np.random.default_rng(0))
    assert drawn.truth.tolist() == [1, 1, 1] and drawn.weights.tolist() == [1, 1, 1]
    nothing = calibrating.chosen(logits, np.full_like(truth, IGNORE), 10, np.random.default_rng(0))
    assert len(nothing.truth) == 0


@pytest.mark.parametrize("keeps", ["good", "nothing"])
def test_without_a_defect_there_is_no_calibration(dataset, tmp_path, caplog, keeps):
    table = dataset.table
    is_kept = (table["split"] != "valid") | ((table["label"] == "good") & (keeps == "good"))
    without = replace(dataset, table=table[is_kept])
    settings = PredictSettings((64, 64), "none", 0.25, "none", 4, "float32")
    predictor = Predictor(Grey(), (64, 64), 4)
    with caplog.at_level(logging.INFO):
        found = calibrating.calibrate(predictor, settings, without, tmp_path / "x.keras", tmp_path)
    assert found is None and not list(tmp_path.iterdir())
    assert "no validation picture shows a defect" in caplog.text
    asked = SimpleNamespace(predict=replace(settings, calibrated=True))
    claim = SimpleNamespace(folder=tmp_path, run_folder=tmp_path)
    with pytest.raises(InputError, match="predict.calibrated=true: no validation picture shows"):
        Attempt(asked, without, claim, None)


class Counted(Grey):
    """Counts the pictures that it computes."""

    def __init__(self) -> None:
        self.pictures = 0

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        self.pictures += len(images)
        return super().predict_on_batch(images)


@pytest.mark.parametrize("how", [{}, {"tta": "flips"}, {"tile": (40, 40), "overlap": 0.5}])
def test_figures_before_and_after_need_each_picture_once(dataset, how):
    network, temperatures = Counted(), np.array([1, 2, 0.5, 1, 3, 1], np.float32)
    predictor = Predictor(network, (64, 64), 2, **how)
    both = calibrating.measured(predictor, temperatures, dataset, "valid")
    once, network.pictures = network.pictures, 0
    samples = list(datasets.rows(dataset.split("valid")))
    for found, each in zip(both, (None, temperatures), strict=True):
        expected = np.zeros_like(found)
        images = (dataset.read_image(one) for one in samples)
        for bands, one in zip(predictor.calibrated(each)(images), samples, strict=True):
            truth = dataset.layout.read_mask(one)
            for top, probabilities in bands:
                expected += reliability.counts(probabilities, truth[top : top + len(probabilities)])
        np.testing.assert_array_equal(found, expected)
    assert once == network.pictures / 2 > 0


def test_the_sample_the_figures_and_the_scores_need_each_picture_once(dataset, tmp_path):
    network = Counted()
    predictor = Predictor(network, (64, 64), 2).keeping()
    calibrating.sample(predictor, dataset)
    calibrating.measured(predictor, np.ones(6, np.float32), dataset, "valid")
    settings = ScoreSettings(0.3, 2.0, 10)
    part = scoring.Part(predictor, dataset)
    scoring.score([part], tmp_path, settings, "once", {}, {"valid": "val"})
    assert network.pictures == len(dataset.split("valid"))
