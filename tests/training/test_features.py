"""Training from kept features trains what an uncached training trains."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.cache import disk_cache
from flexunet_exp.data.cache import features as feature_cache
from flexunet_exp.data.feed import feed as feeding
from flexunet_exp.errors import InputError
from flexunet_exp.models import files
from flexunet_exp.models.unet import unet
from flexunet_exp.prediction import kept_logits
from flexunet_exp.prediction.kept_logits import SameImages
from flexunet_exp.prediction.predictor import Predictor
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.tracker import Tracker
from flexunet_exp.training import features, fit, state
from flexunet_exp.training.settings import TrainingSettings
from tests.support import running


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


@pytest.mark.parametrize("room", [kept_logits.MOST_FEATURES, 0])
def test_the_same_images_are_predicted_with_the_weights_of_now(made, monkeypatch, room):
    _, _, model = made("augmentation=none")
    monkeypatch.setattr(kept_logits, "MOST_FEATURES", room)
    shown = SameImages(model)
    extracted, extract = [], model.extractor.predict_on_batch
    monkeypatch.setattr(
        model.extractor,
        "predict_on_batch",
        lambda images: extracted.append(len(images)) or extract(images),
    )
    batches = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64, 3)).astype(np.uint8)
    for scale in (1.0, 0.5):  # of the decoder's weights, as training changes them
        for layer in model.decoder.layers:
            layer.set_weights([scale * weights for weights in layer.get_weights()])
        for images in batches:
            expected = model.predict_on_batch(images)
            np.testing.assert_allclose(shown.predict_on_batch(images), expected, atol=1e-5)
    assert len(extracted) == (2 if room else 4)


def test_features_of_a_mirrored_network_are_those_of_one_device(made, monkeypatch):
    """Its prediction of a batch comes once for each device."""
    _, _, model = made("augmentation=none")
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    expected, extract = model.predict_on_batch(images), model.extractor.predict_on_batch
    monkeypatch.setattr(
        model.extractor,
        "predict_on_batch",
        lambda seen: [np.concatenate([one, one]) for one in extract(seen)],
    )
    np.testing.assert_allclose(SameImages(model).predict_on_batch(images), expected, atol=1e-5)


def test_turned_views_of_unequal_sides_are_predicted_from_features():
    encoder = {"_target_": "flexunet_exp.models.encoders.applications.mobilenetv3_small"}
    whole = unet((64, 96, 3), 2, encoder, None, encoder_trainable="frozen")
    model = features.FromFeatures(whole.input, whole.output)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype(np.uint8)
    expected, found = (
        [np.concatenate([band.probabilities for band in bands]) for bands in predict(images)]
        for predict in (
            Predictor(network, (64, 96), 2, tta="flips_turns")
            for network in (whole, SameImages(model))
        )
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("encoder", ["efficientnet_lite0", "mobilenetv3_small", "resnet50v2"])
def test_what_is_kept_are_the_features_that_the_decoder_takes(made, encoder):
    """One map a stride: sums within the encoder are computed once, too."""
    _, _, model = made("augmentation=none", f"model/encoder={encoder}")
    shapes = model.extractor.compute_output_shape((1, 64, 64, 3))
    assert sorted(64 // shape[1] for shape in shapes) == [4, 8, 16, 32]


def test_the_frozen_part_of_a_network_of_16_bits_begins_at_its_image():
    lite0 = "flexunet_exp.models.encoders.efficientnet_lite.efficientnet_lite0"
    model = unet((64, 64, 3), 2, {"_target_": lite0}, None, input_dtype="uint16")
    assert len(features.cut_of(model)) == 4


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
    "words", [("model.encoder.features=expanded",), ("dataset.feature_type=float16",)]
)
def test_another_encoder_or_type_computes_its_own(made, words, tmp_path):
    for more in ((), words):
        settings, dataset, model = made("augmentation=none", *more)
        features.kept(model, settings, dataset)
    assert len(list((tmp_path / "cache").glob("features_*"))) == 2


def test_the_same_encoder_with_other_weights_computes_its_own(made):
    kept = []
    for seed in (0, 1):
        settings, dataset, model = made("augmentation=none", seed=seed)
        kept.append(features.kept(model, settings, dataset))
    first, other = kept
    assert first.cache.path != other.cache.path
    place = next(first.places())
    assert first.name(place) == other.name(place)
    assert not np.array_equal(first.read(place)[0], other.read(place)[0])


def test_another_library_that_decodes_computes_its_own(made, monkeypatch):
    settings, dataset, model = made("augmentation=none")
    before = features.kept(model, settings, dataset).cache.path
    monkeypatch.setattr(disk_cache.cv2, "__version__", "0")
    assert features.kept(model, settings, dataset).cache.path != before


def refusal(parts, **changed) -> str:
    """What is said to features of these settings, which may differ from those of the network."""
    settings, dataset, model = parts
    feed = dataclasses.replace(settings.feed, **changed)
    with pytest.raises(InputError) as caught:
        features.kept(model, dataclasses.replace(settings, feed=feed), dataset)
    return str(caught.value)


def test_each_way_out_of_the_limit_that_is_offered_fits_and_one_view_more_does_not(made):
    expanded = "model.encoder.features=expanded"
    parts = made("augmentation=turns", "dataset.feature_type=float16", expanded)
    settings, dataset, model = parts
    train, valid = (len(dataset.split(name)) for name in ("train", "valid"))
    whole = features.maps_of(model, settings.feed).bytes / 1e9
    thin = features.thin_maps(settings, dataset).bytes / 1e9
    assert whole > 2 * thin
    enough_for_3 = (3.5 * train + valid) * whole
    sentence = refusal(parts, cache_limit=enough_for_3)
    assert sentence.startswith(
        f"The features of 8 views of {train} training pictures and of {valid}"
    )
    offers = ", or ".join(
        ["augmentation.views=3", "model.encoder.features=blocks", "dataset.cache_limit=1"]
    )
    assert sentence.endswith(f"Type {offers}")
    assert not list(settings.feed.cache_dir.glob("features_*/*.bin"))
    for changed in ({"views": 3}, {"cache_limit": 1}):
        feed = dataclasses.replace(settings.feed, cache_limit=enough_for_3)
        feed = dataclasses.replace(feed, **changed)
        features.kept(model, dataclasses.replace(settings, feed=feed), dataset)
    # What is there already is used, whatever it takes.
    low = dataclasses.replace(settings.feed, cache_limit=1e-9)
    features.kept(model, dataclasses.replace(settings, feed=low), dataset)
    assert "views=3" in refusal(parts, cache_limit=enough_for_3, views=4)
    thin_for_2 = (2.5 * train + valid) * thin
    sentence = refusal(parts, cache_limit=thin_for_2, views=16)
    assert "model.encoder.features=blocks augmentation.views=2, or" in sentence
    sentence = refusal(parts, cache_limit=1e-9, views=16)
    assert sentence.endswith("Type dataset.cache_limit=1")


def test_an_encoder_without_the_choice_is_offered_no_blocks(made):
    parts = made("augmentation=none", "model.encoder.features=blocks")
    assert refusal(parts, cache_limit=1e-9).endswith("Type dataset.cache_limit=1")


def test_a_training_takes_bfloat16(made):
    settings, dataset, model = made("augmentation=none", "dataset.feature_type=bfloat16")
    fed = fit.feed_of(model, settings, dataset, 0)
    options = {"epochs": 1, "shuffle": False, "verbose": 0}
    history = model.fit(fed.training, steps_per_epoch=fed.steps, **options)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.heavy
def test_an_interrupted_command_goes_on_where_it_was(tmp_path, unet_words):
    words = ("train", *unet_words, "augmentation=flips", "tracking=none")
    write = "flexunet_exp.data.cache.features:FeatureCache.write"
    done = running.signalled(tmp_path, "SIGINT", write, 7, *words)
    assert done.returncode != 0 and "Traceback" not in done.stdout
    (folder,) = (tmp_path / "cache").glob("features_*")
    left = {file: file.stat().st_mtime_ns for file in folder.glob("*.bin")}
    assert len(left) == 6 and not list(folder.glob(".*"))
    again = running.flexunet(tmp_path, *words)
    assert again.returncode == 0, again.stdout
    everything = list(folder.glob("*.bin"))
    assert f" {len(everything) - 6} are computed" in again.stdout
    assert {file: file.stat().st_mtime_ns for file in left} == left


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
    ("which", "channels"), [("frozen", [24, 40, 112, 320]), ("last_stages", [24, 40])]
)
def test_only_what_the_trained_part_takes_is_kept(made, which, channels):
    """The outputs of blocks at strides 4, 8, 16 and 32; no sum within."""
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


PASTE = ("augmentation=paste", "augmentation.views=4", "dataset.good=all")


def test_kept_views_paste_defects_of_training_pictures_alone(made, tmp_path):
    """All other pictures are painted magenta, of which no view of a training picture may show."""
    settings, dataset, model = made(*PASTE)
    table = dataset.table.copy()
    for index in table.index[table["split"] != "train"]:
        painted = tmp_path / f"{index}.png"
        with Image.open(table.loc[index, "image"]) as image:
            Image.new("RGB", image.size, (255, 0, 255)).save(painted)
        table.loc[index, "image"] = str(painted)
    kept = features.kept(model, settings, replace(dataset, table=table))
    pasted = 0
    for place in kept.places():
        image, mask = kept.seen(place)
        is_magenta = image[..., 0].astype(int) - image[..., 1] > 60
        assert is_magenta.all() if place.split == "valid" else not is_magenta.any()
        if place.split == "train":
            label = kept.readers["train"].samples[place.row].label
            pasted += label == "good" and mask.any()
    assert pasted > 2


def test_a_training_with_pasted_defects_from_kept_features(made, tmp_path):
    settings, dataset, model = made(*PASTE)
    (tmp_path / "resume").mkdir()
    tracker = Tracker(TrackingSettings(None, "flexunet"), "test", tmp_path)
    keeper = state.Keeper(tmp_path / "resume", tracker)
    before = [value.copy() for value in model.get_weights()]
    fit.fit(model, settings, dataset, keeper, keeper.read())
    changed = [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)]
    assert any(changed) and all(np.isfinite(value).all() for value in model.get_weights())
    assert Path(tmp_path / "best.keras").is_file()


def test_the_feed_of_pictures_is_unchanged(tiny_dataset):
    cfg = tiny_dataset("augmentation=none")
    dataset = datasets.load(cfg)
    settings = TrainingSettings.from_config(cfg)
    model = fit.compiled_model(settings, dataset)
    assert type(fit.feed_of(model, settings, dataset, 0)) is feeding.Feed
    images, _ = next(iter(fit.feed_of(model, settings, dataset, 0).training))
    assert images.dtype == "uint8"
