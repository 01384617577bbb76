"""Images of 8 and of 16 bits are one picture, in the caches, the augmentation and the network."""

from __future__ import annotations

import numpy as np
import pytest

from flexunet_exp.data import augmentation, grey_levels
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.feed import feed as feeding
from flexunet_exp.data.feed.settings import FeedSettings
from flexunet_exp.prediction.predictor import Predictor
from flexunet_exp.training import fit
from flexunet_exp.training.settings import TrainingSettings
from tests.support.cameras import raw_set

NETWORK = ("model.base_filters=2", "model.base_kernel=3", "model.num_layers=3", "augmentation=none")
TRANSFORMS = [
    getattr(augmentation, name)
    for name in augmentation.__all__
    if isinstance(getattr(augmentation, name), type)
    and name not in ("Draws", "Pair", "Transform", "Used")
]


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def test_every_value_of_eight_bits_survives_sixteen():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    deep = grey_levels.converted(values, "uint16")
    assert deep.dtype == np.uint16 and deep.min() == 0 and deep.max() == 65535
    np.testing.assert_array_equal(grey_levels.as_bytes(deep), values)


def test_sixteen_bits_become_the_nearest_of_eight():
    values = np.arange(65536, dtype=np.uint16)
    expected = np.round(values / 65535 * 255)
    np.testing.assert_array_equal(grey_levels.as_bytes(values), expected)


@pytest.mark.parametrize("kind", TRANSFORMS, ids=lambda kind: kind.__name__)
def test_a_transform_changes_both_alike(kind, picture):
    mask = (picture[..., 0] > 200).astype(np.uint8)
    transform = kind(probability=1.0)
    for key in range(5):
        shallow, seen = augmentation.augment([transform], picture, mask, (key,))
        deep_picture = grey_levels.converted(picture, "uint16")
        deep, seen_too = augmentation.augment([transform], deep_picture, mask, (key,))
        assert deep.dtype == np.uint16
        np.testing.assert_array_equal(seen, seen_too)
        difference = deep / 257 - shallow
        assert np.abs(difference).max() <= 1.01


@pytest.fixture
def deep(tmp_path, compose):
    """The configuration and the data set of a raw set of 12 bits."""
    cfg = compose(
        *("train", "dataset=grid", f"dataset.path={raw_set(tmp_path / 'raw', 12)}", *NETWORK),
        *("dataset.image_size=64", f"cache_dir={tmp_path}/cache", "trainer.batch_size=2"),
    )
    dataset = datasets.load(cfg)
    datasets.keep_decisions(cfg, dataset)
    return cfg, dataset


@pytest.mark.parametrize("cache", ["none", "memory", "disk"])
def test_the_network_is_fed_all_levels(deep, cache):
    cfg, dataset = deep
    cfg.dataset.cache = cache
    model = fit.compiled_model(TrainingSettings.from_config(cfg), dataset)
    assert model.input.dtype == "uint16"
    settings = FeedSettings.from_config(cfg)
    for _ in range(2):  # the second reads the disk cache
        fed = feeding.feed(settings, dataset, dtype=model.input.dtype)
        images = np.concatenate([images for images, _ in fed.validation.as_numpy_iterator()])
        expected = [dataset.read(row, (64, 64))[0] for row in datasets.rows(dataset.split("valid"))]
        assert images.dtype == np.uint16 and len(np.unique(images)) > 256
        np.testing.assert_array_equal(images, np.stack(expected))


def test_one_picture_in_both_types_gives_the_same_logits(deep, compose, picture):
    cfg, dataset = deep
    settings = TrainingSettings.from_config(cfg)
    network = fit.compiled_model(settings, dataset)
    shallow = fit.compiled_model(settings, datasets.replace(dataset, bit_depth="auto"))
    shallow.set_weights(network.get_weights())
    of_bytes = shallow.predict_on_batch(picture[None])
    of_deep = network.predict_on_batch(grey_levels.converted(picture, "uint16")[None])
    np.testing.assert_allclose(of_deep, of_bytes, atol=1e-5)


def test_a_predictor_gives_a_network_the_type_that_it_takes(deep, picture):
    cfg, dataset = deep
    network = fit.compiled_model(TrainingSettings.from_config(cfg), dataset)
    predict = Predictor(network, (64, 64), 2)
    bands = [
        list(predict([image]))[0] for image in (picture, grey_levels.converted(picture, "uint16"))
    ]
    first, second = (next(one).probabilities for one in bands)
    np.testing.assert_array_equal(first, second)


def test_a_model_that_takes_eight_bits_gets_them_with_a_warning(deep, caplog, monkeypatch):
    cfg, dataset = deep
    made = fit.building.build

    def without_dtype(node, **context):
        context.pop("input_dtype", None)
        return made(node, **context)

    monkeypatch.setattr(fit.building, "build", without_dtype)
    model = fit.compiled_model(TrainingSettings.from_config(cfg), dataset)
    assert model.input.dtype == "uint8"
    assert "The pictures have 12 bits, the network takes 8" in caplog.text
    fed = feeding.feed(FeedSettings.from_config(cfg), dataset, dtype=model.input.dtype)
    images, _ = next(iter(fed.validation.as_numpy_iterator()))
    first = next(datasets.rows(dataset.split("valid")))
    expected = grey_levels.as_bytes(dataset.read(first, (64, 64))[0])
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[0], expected)
