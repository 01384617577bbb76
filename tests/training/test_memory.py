"""The memory of a training, predicted from its network."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from flexunet_exp.data import dataset as datasets
from flexunet_exp.prediction.kept_logits import MOST_FEATURES
from flexunet_exp.system import memory as system
from flexunet_exp.training import fit, memory
from flexunet_exp.training.memory import Prediction
from flexunet_exp.training.settings import TrainingSettings
from tests.support import running

MADE = Prediction(700, 100, 50, {"in validation, at valid_batch_size 4": 120}, 1, 1)


def predicted(cfg) -> Prediction:
    settings, dataset = TrainingSettings.from_config(cfg), datasets.load(cfg)
    return memory.predict(fit.compiled_model(settings, dataset), settings)


def test_activations_grow_with_the_batch_and_validation_has_its_own():
    assert [MADE.total(batch) for batch in (1, 2, 4)] == [920, 920, 1000]
    assert "activations 0.0 at batch_size 4)" in MADE.describe(4)
    assert "activations 0.0 in validation, at valid_batch_size 4)" in MADE.describe(2)


def test_devices_share_a_batch():
    on_gpus = Prediction(0, 100, 50, {"in validation": 0}, devices=2, copies=1)
    assert [on_gpus.total(batch) for batch in (1, 2, 3, 4)] == [150, 150, 200, 200]
    on_one_cpu = Prediction(700, 100, 50, {"in validation": 0}, devices=2, copies=2)
    assert on_one_cpu.total(4) == 700 + 200 + 4 * 50


@pytest.mark.parametrize(
    ("room", "most", "found"), [(919, 64, None), (920, 64, 2), (1199, 64, 4), (10**6, 13, 8)]
)
def test_the_largest_batch_is_a_power_of_two_that_fits(room, most, found):
    assert MADE.largest_batch(room, most) == found


def test_parts_of_a_small_network_by_hand(tiny_dataset):
    """Weights, gradients (twice), the two moments of Adam; maps that double with the picture."""
    cfg = tiny_dataset("trainer.valid_batch_size=1")
    small, large = predicted(cfg), predicted(tiny_dataset("dataset.image_size=128"))
    settings, dataset = TrainingSettings.from_config(cfg), datasets.load(cfg)
    model = fit.compiled_model(settings, dataset)
    sizes = [4 * int(keras.ops.size(weight)) for weight in model.trainable_weights]
    counters = model.optimizer.variables[:2]  # steps, and the learning rate
    own = sum(memory.bytes_of(one) for one in counters)
    assert small.weights == 5 * sum(sizes) + 4 * max(sizes) + own
    assert large.picture == 4 * small.picture
    assert 0 < small.program < 4e9


def test_reduced_precision_takes_less_for_maps_and_more_for_weights(tiny_dataset):
    exact = predicted(tiny_dataset())
    keras.config.set_dtype_policy("mixed_bfloat16")
    reduced = predicted(tiny_dataset("trainer.precision=mixed_bfloat16"))
    assert reduced.picture < exact.picture
    assert reduced.weights > exact.weights


def test_a_training_from_features_has_the_maps_of_its_decoder(made):
    """A frozen encoder keeps nothing either, but its largest maps are there in the forward pass."""
    settings, _, cached = made("augmentation=none")
    kept = memory.predict(cached, settings)
    settings, _, frozen = made("dataset.cache=none")
    whole = memory.predict(frozen, settings)
    assert kept.picture <= whole.picture
    validation, features = kept.elsewhere.values()
    (whole_validation,) = whole.elsewhere.values()
    assert validation < whole_validation
    assert list(kept.elsewhere)[1] == "where features are computed" and features > 0


def test_features_of_epoch_pictures_count_with_their_views(made):
    settings, _, model = made("augmentation=none", "predict.tta=flips")
    assert memory.predict(model, settings).shown == 0
    own = {"_target_": "keras.callbacks.TerminateOnNaN", "num_images": None}
    shown = {"_target_": "flexunet_exp.callbacks.EpochImages", "num_images": 3}
    shows = replace(settings, callbacks={"own": own, "epoch_images": shown})
    maps = model.extractor.predict_on_batch(np.zeros((1, *settings.feed.size, 3), np.uint8))
    found = memory.predict(model, shows)
    assert found.shown == 3 * 4 * sum(one.nbytes for one in maps)
    assert found.total(2) == replace(found, shown=0).total(2) + found.shown
    tiles = replace(shows, predict=replace(settings.predict, tile=32))
    assert memory.predict(model, tiles).shown == MOST_FEATURES


def test_patches_of_features_take_their_share(made):
    settings, _, model = made("augmentation=none", "dataset.patch.features=32")
    patches = memory.predict(model, settings)
    settings, _, model = made("augmentation=none")
    assert memory.predict(model, settings).picture == 4 * patches.picture


def test_deep_supervision_counts_its_side_outputs(tiny_dataset, compose, tiny_data):
    words = ("model=attention_unet", "model.base_filters=2", "dataset.image_size=64")
    data = ("dataset=grid", "dataset/layout=synthetic", f"data_root={tiny_data}")
    shape = ("dataset.layout.images_per_class=4", "dataset.layout.good_images=4")
    both = [*words, *data, *shape, "dataset.layout.size=64"]
    plain = predicted(compose("train", *both))
    supervised = predicted(compose("train", *both, "trainer.deep_supervision=0.5"))
    assert supervised.picture > plain.picture
    assert supervised.elsewhere == plain.elsewhere


def test_a_training_that_is_too_large_is_told_what_to_type(monkeypatch):
    monkeypatch.setattr(system, "resident", lambda: 0)
    monkeypatch.setattr(system, "free", lambda: 1000)
    assert memory.too_large(MADE, 4) == ""
    assert memory.too_large(MADE, 8).endswith("Type trainer.batch_size=4")
    monkeypatch.setattr(system, "free", lambda: 900)
    assert "trainer.valid_batch_size=1" in memory.too_large(MADE, 4)


def test_a_training_logs_both_figures(tmp_path, tiny):
    done = running.train(tmp_path, *tiny, "tracking=none", "trainer.epochs=1")
    assert done.returncode == 0, done.stdout
    assert "Memory: about " in done.stdout and "at batch_size 4)" in done.stdout
    assert " GB at most, " in done.stdout
