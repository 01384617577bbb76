"""Prediction: whole pictures and tiles, views, bands; nothing unpainted, nothing misplaced."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flexunet_exp.data import tiles
from flexunet_exp.prediction import predictor
from flexunet_exp.prediction.predictor import VIEWS, Ensemble, Predictor, collect, enlarged
from tests.support.properties import examples

CLASSES = 4


BYTES = (np.zeros(0, np.uint8),)  # what stands for a network's input of uint8


class ColourIsClass:
    """A network whose class of a pixel is its red value modulo CLASSES, surely."""

    inputs = BYTES

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        logits = np.zeros((*images.shape[:3], CLASSES), np.float32)
        np.put_along_axis(logits, (images[..., :1] % CLASSES).astype(int), 30.0, axis=-1)
        return logits


class Position:
    """A network whose certainty of class 1 depends on the place in its input, and the input."""

    inputs = BYTES

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        height, width = images.shape[1:3]
        place = np.add.outer(np.arange(height) / height, 2 * np.arange(width) / width)
        second = place + images[..., 0] / 255
        return np.stack([np.zeros_like(second), second], axis=-1).astype(np.float32)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def predicted(predictor: Predictor | Ensemble, image: np.ndarray) -> np.ndarray:
    """All probabilities of one image, its bands in their place."""
    (bands,) = predictor([image])
    parts = list(bands)
    assert [part.top for part in parts] == list(
        np.cumsum([0, *(len(part.probabilities) for part in parts)])[:-1]
    )
    whole = np.concatenate([part.probabilities for part in parts])
    assert whole.shape[:2] == image.shape[:2]
    return whole


@examples(150)
@given(
    tile=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    height=st.integers(1, 27),
    width=st.integers(1, 27),
    overlap=st.floats(0, 0.99),
    batch_size=st.integers(1, 5),
    tta=st.sampled_from(list(VIEWS)),
)
@example(tile=(8, 8), height=1, width=1, overlap=0.0, batch_size=1, tta="none")
@example(tile=(8, 8), height=24, width=24, overlap=0.99, batch_size=3, tta="flips_turns")
@example(tile=(8, 5), height=9, width=15, overlap=0.5, batch_size=2, tta="flips")
def test_tiled_is_whole_at_every_size_and_overlap(tile, height, width, overlap, batch_size, tta):
    image = picture(height, width)
    tiled = Predictor(ColourIsClass(), tile, batch_size, tile, overlap, tta)
    probabilities = predicted(tiled, image)
    np.testing.assert_array_equal(probabilities.argmax(-1), image[..., 0] % CLASSES)
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)


@given(length=st.integers(1, 400), tile=st.integers(1, 100), overlap=st.floats(0, 0.99))
def test_tiles_cover_a_side_and_overlap_as_asked(length, tile, overlap):
    starts = tiles.starts(length, tile, overlap)
    covered = {place for start in starts for place in range(start, start + tile)}
    assert covered >= set(range(length))
    assert starts[0] == 0 and max(starts) + tile == max(length, tile)
    asked = max(1, int(tile * (1 - overlap)))
    assert all(0 < later - earlier <= asked for earlier, later in itertools.pairwise(starts))


@given(tile=st.integers(1, 200), overlap=st.floats(0, 0.99))
def test_a_window_paints_every_pixel(tile, overlap):
    window = tiles.window(tile, overlap)
    assert (window > 0).all() and (window <= 1).all()
    np.testing.assert_allclose(window, window[::-1], atol=1e-6)


def test_tiles_are_blended_smoothly():
    flat = np.zeros((32, 96, 3), np.uint8)
    network = Position()
    hard = predicted(Predictor(network, (32, 32), 4, (32, 32), overlap=0.0), flat)
    soft = predicted(Predictor(network, (32, 32), 4, (32, 32), overlap=0.5), flat)
    steps = [np.abs(np.diff(whole[..., 1], axis=1)).max() for whole in (hard, soft)]
    assert steps[0] > 0.3  # a seam
    assert steps[1] < steps[0] / 5


def test_where_tiles_overlap_both_count_by_their_windows():
    flat = np.zeros((4, 6, 3), np.uint8)
    whole = predicted(Predictor(Position(), (4, 4), 1, (4, 4), overlap=0.5), flat)
    tile = predicted(Predictor(Position(), (4, 4), 1), flat[:, :4])
    rise = np.sin((np.arange(2) + 0.5) * np.pi / 4) ** 2
    expected = rise[::-1, None] * tile[1, 2:4] + rise[:, None] * tile[1, :2]
    np.testing.assert_allclose(whole[1, 2:4], expected, atol=1e-6)
    np.testing.assert_allclose(whole[1, :2], tile[1, :2], atol=1e-6)


@pytest.mark.parametrize("size", [(200, 130), (30, 31), (64, 64), (1, 1), (65, 640)])
@pytest.mark.parametrize("band_values", [2**23, 7 * 640 * 3])
def test_a_whole_picture_is_enlarged_as_opencv_does_it(monkeypatch, size, band_values):
    monkeypatch.setattr(predictor, "BAND_VALUES", band_values)
    small = np.random.default_rng(0).dirichlet(np.ones(3), (64, 64)).astype(np.float32)
    bands = list(enlarged(small, size))
    expected = cv2.resize(small, size[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(
        np.concatenate([band.probabilities for band in bands]), expected, atol=2e-6
    )
    assert all(band.probabilities.size <= band_values for band in bands if len(bands) > 1)


@pytest.mark.parametrize(("tta", "turns"), [("flips", (0, 2)), ("flips_turns", (0, 1, 2, 3))])
def test_views_are_averaged_in_the_pictures_own_place(tta, turns):
    image, alone = picture(16, 16), Predictor(Position(), (16, 16), 1)
    expected = np.mean(
        [
            np.rot90(mirror(predicted(alone, mirror(np.rot90(image, turn)))), -turn)
            for turn in turns
            for mirror in (lambda x: x, lambda x: x[:, ::-1])
        ],
        axis=0,
    )
    found = predicted(Predictor(Position(), (16, 16), 1, tta=tta), image)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found - predicted(alone, image)).max() > 0.01


def test_a_mask_is_the_most_probable_class_and_its_probability():
    image = picture(40, 30)
    (bands,) = Predictor(Position(), (16, 16), 2)([image])
    prediction = collect(bands, (40, 30))
    whole = predicted(Predictor(Position(), (16, 16), 2), image)
    np.testing.assert_array_equal(prediction.mask, whole.argmax(-1))
    np.testing.assert_allclose(prediction.certainty, whole.max(-1), atol=1e-3)
    assert prediction.anomaly == pytest.approx(1 - whole[..., 0].min())


@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_an_ensemble_is_the_mean_of_its_members(tile):
    networks = (Position(), ColourIsTwoClasses())
    images = [picture(40, 30, seed) for seed in range(5)]
    members = [Predictor(network, (16, 16), 2, tile) for network in networks]
    found = [
        np.concatenate([band.probabilities for band in bands])
        for bands in Ensemble(members)(iter(images))
    ]
    for image, whole in zip(images, found, strict=True):
        expected = np.mean([predicted(member, image) for member in members], axis=0)
        np.testing.assert_allclose(whole, expected, atol=1e-6)


class ColourIsTwoClasses:
    inputs = BYTES

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        return np.stack([images[..., 0] / 50, images[..., 1] / 50], axis=-1).astype(np.float32)


def test_pictures_come_back_in_order_whatever_the_batch():
    images = [picture(20 + index, 30, index) for index in range(7)]
    alone = [predicted(Predictor(ColourIsTwoClasses(), (16, 16), 1), image) for image in images]
    for batch_size in (2, 3, 7, 20):
        together = Predictor(ColourIsTwoClasses(), (16, 16), batch_size)(iter(images))
        for expected, bands in zip(alone, together, strict=True):
            found = np.concatenate([band.probabilities for band in bands])
            np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("tta", ["none", "flips_turns"])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_tiles_are_blended_as_numpy_does_it_to_the_bit(tta, batch_size):
    image, side, overlap = picture(45, 38), 16, 0.4
    network = Predictor(Position(), (16, 16), batch_size, (side, side), overlap, tta)
    alone = Predictor(Position(), (16, 16), 1, tta=tta)
    weight = np.outer(*[tiles.window(side, overlap)] * 2)[..., None]
    total = np.zeros((45, 38, 2), np.float32)
    for top, left in itertools.product(*(tiles.starts(n, side, overlap) for n in (45, 38))):
        part = slice(top, top + side), slice(left, left + side)
        total[part] += weight * alone.forward(image[part][None])[0]
    expected = total / total.sum(axis=-1, keepdims=True)
    np.testing.assert_array_equal(predicted(network, image), expected)


@pytest.mark.parametrize("settings", [{}, {"tile": (8, 8)}, {"tta": "flips"}], ids=str)
@pytest.mark.parametrize("members", [1, 2])
def test_bands_may_be_taken_later_and_in_other_threads(settings, members):
    networks = [Predictor(Position(), (16, 16), 2, **settings) for _ in range(members)]
    network = networks[0] if members == 1 else Ensemble(networks)
    images = [picture(20 + seed, 30, seed) for seed in range(5)]
    expected = [predicted(network, image) for image in images]
    with ThreadPoolExecutor(3) as pool:
        waiting = list(network.bands([network.ready(image) for image in images]))
        found = list(pool.map(list, reversed(waiting)))[::-1]
    for bands, whole in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.concatenate([one.probabilities for one in bands]), whole)


def sized():
    """A network with layers that need the height and the width of what they take."""
    import keras

    image = keras.Input((None, None, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.UpSampling2D(2, interpolation="bilinear")(keras.layers.AveragePooling2D(2)(x))
    return keras.Model(image, keras.layers.Conv2D(2, 1)(x))


def test_views_of_unequal_sides_are_predicted_in_several_threads():
    network = Predictor(sized(), (16, 32), 2, tile=(16, 32), tta="flips_turns")
    images = [picture(60, 70, seed) for seed in range(6)]
    expected = [predicted(network, image) for image in images]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(list, network.bands(map(network.ready, images))))
    for bands, whole in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.concatenate([one.probabilities for one in bands]), whole)


def test_turned_views_of_unequal_sides_are_predicted_by_layers_that_need_a_size():
    network = sized()
    turned = Predictor(network, (16, 32), 2, tta="flips_turns").keeping()
    shown = picture(16, 32)
    found = predicted(turned, shown)
    # The network does not know left from right: all views of it agree.
    np.testing.assert_allclose(found, predicted(Predictor(network, (16, 32), 2), shown), atol=1e-5)
    np.testing.assert_allclose(predicted(turned, shown), found, atol=1e-6)
