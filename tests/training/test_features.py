"""Training from kept features trains what an uncached training trains."""

from __future__ import annotations

import logging
import os
import shutil

import keras
import numpy as np
import pytest

from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.cache import features as feature_cache
from flexunet_exp.data.feed import feed as feeding
from flexunet_exp.errors import InputError
from flexunet_exp.models import files
from flexunet_exp.training import features, fit
from flexunet_exp.training.settings import TrainingSettings

UNET = (
    *("model=unet", "model.encoder_weights=null", "model.decoder_filters=4", "loss=ce_dice"),
    *("dataset.cache=features", "dataset.feature_type=float32", "~callbacks.epoch_images"),
    *("trainer.batch_size=4", "trainer.deterministic=true"),
)


@pytest.fixture
def made(tiny, compose, tmp_path):
    """made(words…) → settings, data set, network: a U-Net with random weights, small pictures."""

    def make(*words: str):
        plain = [word for word in tiny if not word.startswith("model.")]
        cfg = compose("train", *plain, *UNET, f"cache_dir={tmp_path}/cache", *words)
        keras.utils.set_random_seed(0)
        settings, dataset = TrainingSettings.from_config(cfg), datasets.load(cfg)
        return settings, dataset, fit.compiled_model(settings, dataset)

    return make


def test_ten_steps_agree_with_an_uncached_training(made):
    """The same batches and first weights; the views are taken as pictures by the other."""
    settings, dataset, cached = made("augmentation=flips")
    whole = keras.Model(cached.input, cached.output)
    plain = keras.models.clone_model(whole)
    plain.set_weights(whole.get_weights())
    cached = features.FromFeatures(whole.input, whole.output)
    plain.compile(keras.optimizers.SGD(0.05), fit.build_loss(settings.loss, dataset))
    cached.compile(keras.optimizers.SGD(0.05), fit.build_loss(settings.loss, dataset))
    kept = features.kept(cached, settings, dataset)
    draw = np.random.default_rng(0)
    places = list(kept.places())
    for _ in range(10):
        chosen = [places[n] for n in draw.integers(0, len(places), 4)]
        *maps, masks = map(np.stack, zip(*(kept.read(place) for place in chosen), strict=True))
        images = np.stack([kept.seen(place)[0] for place in chosen])
        of_cached = cached.train_on_batch(tuple(maps), masks)
        of_plain = plain.train_on_batch(images, masks)
        np.testing.assert_allclose(of_cached, of_plain, rtol=1e-5)
    for ours, theirs in zip(cached.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_stored_network_is_the_whole_network(made, tmp_path):
    settings, dataset, model = made("augmentation=none")
    files.save_model(model, tmp_path / "best.keras")
    loaded = files.read_network(tmp_path / "best.keras")
    kept = features.kept(model, settings, dataset)
    place = next(kept.places())
    *maps, _ = kept.read(place)
    image = kept.seen(place)[0][None]
    expected = np.asarray(model(tuple(one[None] for one in maps)))
    np.testing.assert_allclose(loaded.predict_on_batch(image), expected, atol=1e-4)
    assert type(loaded) is not features.FromFeatures


def test_features_are_computed_once_and_shared(made, caplog):
    caplog.set_level(logging.INFO)
    settings, dataset, model = made("augmentation=flips")
    features.kept(model, settings, dataset)
    assert " 0 are computed" not in caplog.text
    caplog.clear()
    settings, dataset, model = made("augmentation=flips", "loss=dice", "trainer.seed=1")
    features.kept(model, settings, dataset)
    assert " 0 are computed" in caplog.text


@pytest.mark.parametrize(
    "words", [("model.encoder.features=blocks",), ("dataset.feature_type=float16",)]
)
def test_another_encoder_or_type_computes_its_own(made, words, tmp_path):
    for more in ((), words):
        settings, dataset, model = made("augmentation=none", *more)
        features.kept(model, settings, dataset)
    assert len(list((tmp_path / "cache").glob("features_*"))) == 2


def test_the_feed_is_decided_by_seed_and_epoch(made):
    settings, dataset, model = made("augmentation=flips", "trainer.epochs=2")
    first, again = (
        [
            masks
            for _, masks in fit.feed_of(model, settings, dataset, 0).training.as_numpy_iterator()
        ]
        for _ in range(2)
    )
    resumed = [
        masks for _, masks in fit.feed_of(model, settings, dataset, 1).training.as_numpy_iterator()
    ]
    assert len(first) == 2 * len(resumed)
    for ours, theirs in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(first[len(resumed) :], resumed, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_validation_shows_each_picture_once_as_it_is(made):
    settings, dataset, model = made("augmentation=flips")
    fed = fit.feed_of(model, settings, dataset, 0)
    masks = np.concatenate([masks for _, masks in fed.validation.as_numpy_iterator()])
    expected = [
        dataset.read(row, settings.feed.size)[1] for row in datasets.rows(dataset.split("valid"))
    ]
    np.testing.assert_array_equal(masks, np.stack(expected))


@pytest.mark.parametrize(
    ("which", "channels"), [("frozen", [144, 240, 672, 320]), ("last_stages", [144, 240])]
)
def test_only_what_the_trained_part_takes_is_kept(made, which, channels):
    """The last expanded maps at strides 4, 8 and 16, and the output at 32; no sum within."""
    _, _, model = made(f"model.encoder_trainable={which}")
    assert sorted(channels) == sorted(one.shape[-1] for one in model.extractor.outputs)


def test_the_last_stages_of_an_encoder_are_trained_behind_kept_features(made):
    """Their batch normalisation is not trained, and takes what trained convolutions give."""
    settings, dataset, model = made("model.encoder_trainable=last_stages", "augmentation=none")
    fed = fit.feed_of(model, settings, dataset, 0)
    before = {weight.path: weight.numpy() for weight in model.trainable_variables}
    assert any("encoder" in path for path in before)
    model.fit(fed.training, steps_per_epoch=1, verbose=0, shuffle=False)
    same = [path for path, value in before.items() if np.array_equal(value, value_of(model, path))]
    assert not same


def value_of(model, path: str) -> np.ndarray:
    (weight,) = [one for one in model.trainable_variables if one.path == path]
    return weight.numpy()


def test_a_network_that_trains_from_its_image_on_is_refused(made):
    with pytest.raises(InputError, match=r"model=unet model.encoder_trainable=frozen"):
        made("model.encoder_trainable=all")


def test_a_full_disk_is_said_before_anything_is_written(made, monkeypatch, tmp_path):
    settings, dataset, model = made("augmentation=none")
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(feature_cache.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=r"features need .* GB .* fewer augmentation.views"):
        features.kept(model, settings, dataset)
    assert not list((tmp_path / "cache").glob("features_*/*.bin"))


def test_a_truncated_file_is_computed_again_and_said_in_use(made):
    settings, dataset, model = made("augmentation=none")
    kept = features.kept(model, settings, dataset)
    place = next(kept.places())
    whole = [one.copy() for one in kept.read(place)]
    os.truncate(kept.cache.file(kept.name(place)), 100)
    with pytest.raises(InputError, match="truncated while it was in use"):
        kept.read(place)
    again = features.kept(model, settings, dataset)
    for ours, theirs in zip(again.read(place), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)  # of another batch of pictures


def test_sampled_views_are_refused_without_their_number(made):
    settings, dataset, model = made("augmentation=light")
    with pytest.raises(InputError, match="augmentation.views=16"):
        features.kept(model, settings, dataset)


def test_the_feed_of_pictures_is_unchanged(tiny_dataset):
    cfg = tiny_dataset("augmentation=none")
    dataset = datasets.load(cfg)
    settings = TrainingSettings.from_config(cfg)
    model = fit.compiled_model(settings, dataset)
    assert type(fit.feed_of(model, settings, dataset, 0)) is feeding.Feed
    images, _ = next(iter(fit.feed_of(model, settings, dataset, 0).training))
    assert images.dtype == "uint8"
