"""Training: what the callbacks promise, on real (tiny) training runs."""

from __future__ import annotations

import shutil
import time

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from flexunet_exp.callbacks import always, configured, qualifying
from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.feed import batches
from flexunet_exp.data.feed import feed as feeding
from flexunet_exp.data.feed.reader import SampleReader
from flexunet_exp.data.feed.settings import FeedSettings
from flexunet_exp.errors import InputError
from flexunet_exp.models import files
from flexunet_exp.prediction import networks as trained_networks
from flexunet_exp.prediction import predictor
from flexunet_exp.prediction.settings import PredictSettings
from flexunet_exp.system import tensorflow
from flexunet_exp.system.tensorflow import ProcessSettings
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.tracker import Tracker
from flexunet_exp.training import class_weights, fit, state
from flexunet_exp.training.settings import TrainingSettings

NOWHERE = TrackingSettings(None, "flexunet")


@pytest.fixture
def trained(tiny_dataset, tmp_path):
    """trained("trainer.epochs=3", …) → (model, data set, epoch table) of a run without a store."""

    def run(*overrides: str):
        cfg = tiny_dataset("tracking=none", "~callbacks.epoch_images", *overrides)
        tensorflow.prepare(ProcessSettings.from_config(cfg))
        dataset = datasets.load(cfg)
        model = fit.compiled_model(TrainingSettings.from_config(cfg), dataset)
        for left in (*tmp_path.glob("resume"), *tmp_path.glob("train_*.csv")):
            shutil.rmtree(left) if left.is_dir() else left.unlink()  # of a run before
        (tmp_path / "resume").mkdir()
        keeper = state.Keeper(tmp_path / "resume", Tracker(NOWHERE, "test", tmp_path))
        fit.fit(model, TrainingSettings.from_config(cfg), dataset, keeper, keeper.read())
        tables = [pd.read_csv(tmp_path / f"train_{name}.csv") for name in ("losses", "metrics")]
        return model, dataset, tables[0].merge(tables[1], on="epoch")

    return run


def validation_figures(model, dataset) -> dict:
    reader = SampleReader(dataset, dataset.split("valid"), (64, 64))
    return model.evaluate(batches.evaluation(reader, (64, 64), 4), return_dict=True, verbose=0)


@pytest.mark.parametrize(
    ("monitor", "best", "learning_rate"), [("val_loss", "min", 0.3), ("val_dice", "max", 3e-3)]
)
def test_the_best_epochs_weights_are_restored(trained, monitor, best, learning_rate):
    """Of the epochs that qualify; where none does, those of the last epoch."""
    model, dataset, epochs = trained(
        f"monitor={monitor}", "trainer.epochs=8", f"optimizer.learning_rate={learning_rate}"
    )
    bar = qualifying.bar(dataset.split_pixels("valid"))  # the masks have the network's size
    scores = epochs[monitor][epochs["val_dice"] > bar]
    expected = getattr(scores, best)() if len(scores) else epochs[monitor].iloc[-1]
    found = validation_figures(model, dataset)[monitor.removeprefix("val_")]
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_learning_rate_really_falls_when_nothing_improves(trained):
    _, _, epochs = trained(
        "monitor=val_loss",
        "trainer.epochs=6",
        "optimizer.learning_rate=1e-9",
        "callbacks.reduce_lr.patience=2",
        "callbacks.reduce_lr.factor=0.5",
        "callbacks.reduce_lr.min_lr=0",
    )
    rates = epochs["learning_rate"] / 1e-9
    # The first epoch sets the best; after two without progress it halves, and again after two.
    np.testing.assert_allclose(rates, [1, 1, 1, 0.5, 0.5, 0.25], rtol=1e-5)


def test_early_stopping_waits_for_the_first_epoch_that_qualifies(trained):
    """Its patience from then on: tests/callbacks/test_qualifying.py."""
    _, _, epochs = trained(
        "monitor=val_loss",
        "trainer.epochs=5",
        "optimizer.learning_rate=1e-9",
        "callbacks.early_stopping.patience=1",
        "~callbacks.reduce_lr",
    )
    assert len(epochs) == 5


@pytest.mark.parametrize("loss", ["dice", "ce_dice"])
def test_the_validation_loss_does_not_depend_on_the_batch_size(trained, loss):
    """The network does not change in the epoch, whatever its batches are."""
    frozen = ("trainer.epochs=1", "optimizer.learning_rate=1e-12", f"loss={loss}")
    found = [
        trained(*frozen, f"trainer.batch_size={size}")[2].loc[0, ["val_loss", "val_dice"]]
        for size in (1, 5)
    ]
    np.testing.assert_allclose(*found, rtol=1e-5)
    other = trained(*frozen, "trainer.valid_batch_size=1")[2].loc[0, ["val_loss", "val_dice"]]
    assert other["val_dice"] == pytest.approx(found[0]["val_dice"], rel=1e-5)
    assert other["val_loss"] != pytest.approx(found[0]["val_loss"], rel=1e-3)


def test_figures_of_the_epochs_table_are_keras_names(trained):
    _, dataset, epochs = trained()
    expected = {"dice", "val_dice", "val_iou", "val_dice/bent", "learning_rate", "val_loss"}
    assert expected <= set(epochs.columns)
    assert list(epochs["epoch"]) == [1, 2]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("loss", "epoch/train/loss"),
        ("val_loss", "epoch/val/loss"),
        ("dice/bent", "epoch/train/dice/bent"),
        ("val_dice/bent", "epoch/val/dice/bent"),
        ("learning_rate", "epoch/learning_rate"),
    ],
)
def test_names_in_the_store(name, expected):
    assert always.metric_name(name) == expected


@pytest.mark.parametrize(
    ("rule", "weigh"),
    [
        ("balanced", class_weights.balanced_weights),
        ("effective_number", class_weights.effective_number_weights),
    ],
)
def test_class_weights_come_from_the_training_split(tiny_dataset, rule, weigh):
    cfg = tiny_dataset("loss=cross_entropy", f"loss.class_weights={rule}")
    dataset = datasets.load(cfg)
    loss = fit.build_loss(TrainingSettings.from_config(cfg).loss, dataset)
    masks = [dataset.layout.read_mask(sample) for sample in dataset.split("train").itertuples()]
    pixels = np.bincount(np.concatenate([mask.ravel() for mask in masks]), minlength=6)
    assert loss.class_weights == pytest.approx(weigh(pixels))


def test_a_saved_model_has_no_optimizer_and_predicts_the_same(trained, tmp_path):
    model, dataset, _ = trained()
    image, _ = dataset.read(next(dataset.table.itertuples()))
    before = model.predict_on_batch(image[None])
    files.save_model(model, tmp_path / "saved.keras")
    again = keras.saving.load_model(tmp_path / "saved.keras")
    np.testing.assert_array_equal(again.predict_on_batch(image[None]), before)
    assert getattr(again, "optimizer", None) is None
    assert not list(tmp_path.glob(".*.keras"))


def test_a_failed_save_leaves_the_old_file(trained, tmp_path):
    model, _, _ = trained()
    kept = (tmp_path / "best.keras").read_bytes()
    model.layers[1].get_config = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        files.save_model(model, tmp_path / "best.keras")
    assert (tmp_path / "best.keras").read_bytes() == kept


@pytest.mark.parametrize("fault", ["channels", "resolution", "precision"])
def test_a_model_of_another_output_is_named(tiny_dataset, fault):
    dataset = datasets.load(tiny_dataset())
    image = keras.Input((None, None, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(image)
    channels = dataset.num_classes + (fault == "channels")
    precision = "float16" if fault == "precision" else "float32"
    strides = 2 if fault == "resolution" else 1
    logits = keras.layers.Conv2D(channels, 1, strides=strides, dtype=precision)(x)
    with pytest.raises(InputError, match=r"expected float32 logits \(64, 64, 6\)"):
        fit.check_output(keras.Model(image, logits), (64, 64, 3), dataset)


def test_the_nan_guard_names_epoch_and_step():
    guard = configured.NanGuard()
    guard.on_epoch_begin(6)
    guard.on_train_batch_end(0, {"loss": 1.0})
    with pytest.raises(InputError, match="epoch 7, step 12"):
        guard.on_train_batch_end(11, {"loss": float("nan")})


def test_a_callback_can_be_removed_by_name(tiny_dataset, tmp_path):
    cfg = tiny_dataset("tracking=none", "~callbacks.early_stopping", "~callbacks.curves")
    dataset = datasets.load(cfg)
    run = configured.Run(tmp_path, dataset, None, Tracker(NOWHERE, "test", tmp_path))
    names = {
        type(callback).__name__
        for callback in fit.build_callbacks(TrainingSettings.from_config(cfg), run).values()
    }
    assert names == {"NanGuard", "BestCheckpoint", "ReduceLROnPlateau", "EpochImages", "StopFile"}


def predictor_for(cfg, network):
    return trained_networks.predictor(network, PredictSettings.from_config(cfg))


def test_epoch_pictures_are_predicted_as_predict_says(tiny_dataset, tmp_path):
    cfg = tiny_dataset("tracking=none", "predict.tile=32", "predict.overlap=0.5")
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    dataset = datasets.load(cfg)
    network = fit.compiled_model(TrainingSettings.from_config(cfg), dataset)
    run = configured.Run(
        tmp_path, dataset, predictor_for(cfg, network), Tracker(NOWHERE, "test", tmp_path)
    )
    pictures = configured.EpochImages(num_images=3, every=1, run=run)
    pictures.set_model(network)
    pictures.predict(7)
    tiles = predictor.Predictor(network, (64, 64), 4, tile=(32, 32), overlap=0.5)
    whole = predictor.Predictor(network, (64, 64), 4)
    differ = 0
    for sample in pictures.samples:
        image, truth = dataset.read(sample)
        with Image.open(
            tmp_path / "epoch_change_infer" / f"epoch_0007_{datasets.sample_name(sample)}.png"
        ) as file:
            shown = np.asarray(file)
        expected = [predictor.collect(next(p([image])), truth.shape).mask for p in (tiles, whole)]
        np.testing.assert_array_equal(shown, expected[0])
        differ += np.count_nonzero(expected[0] != expected[1])
    assert differ


def test_the_last_epoch_has_its_pictures_whatever_ends_the_training(tiny_dataset, tmp_path):
    cfg = tiny_dataset("tracking=none")
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    dataset = datasets.load(cfg)
    network = fit.compiled_model(TrainingSettings.from_config(cfg), dataset)

    def predicted(name: str, epochs: int, ends: int) -> set[int]:
        """The epochs that have pictures; the training is of `epochs`, and ends after `ends`."""
        folder = tmp_path / name
        run = configured.Run(
            folder, dataset, predictor_for(cfg, network), Tracker(NOWHERE, "test", folder)
        )
        folder.mkdir()
        pictures = configured.EpochImages(num_images=1, every=4, run=run)
        pictures.set_model(network)
        pictures.set_params({"epochs": epochs})
        pictures.on_train_begin()
        for epoch in range(ends):
            pictures.on_epoch_end(epoch)
        pictures.on_train_end()
        files = (folder / "epoch_change_infer").glob("*_panel.png")
        return {int(path.name.split("_")[1]) for path in files}

    assert predicted("whole", 6, 6) == {0, 4, 6}
    assert predicted("stopped", 20, 5) == {0, 4, 5}
    assert predicted("even", 4, 4) == {0, 4}


def test_tiled_epoch_pictures_have_a_folder_of_their_own(tiny_dataset, tmp_path):
    cfg = tiny_dataset("tracking=none", "callbacks=[default,tiled_epoch_images]",
                       "callbacks.tiled_epoch_images.tile=32")  # fmt: skip
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    dataset = datasets.load(cfg)
    settings = TrainingSettings.from_config(cfg)
    network = fit.compiled_model(settings, dataset)
    run = configured.Run(
        tmp_path, dataset, predictor_for(cfg, network), Tracker(NOWHERE, "test", tmp_path)
    )
    pictures = fit.build_callbacks(settings, run)["tiled_epoch_images"]
    pictures.set_model(network)
    pictures.predict(7)
    tiles = predictor.Predictor(network, (64, 64), 4, tile=(32, 32), overlap=0.25)
    for sample in pictures.samples:
        image, truth = dataset.read(sample)
        name = f"epoch_0007_{datasets.sample_name(sample)}.png"
        with Image.open(tmp_path / "epoch_change_tiled_infer" / name) as file:
            shown = np.asarray(file)
        expected = predictor.collect(next(tiles([image])), truth.shape).mask
        np.testing.assert_array_equal(shown, expected)


def test_a_schedule_sets_the_rate_of_every_epoch_and_the_plateau_is_left_out(trained):
    schedule = ("schedule=cosine", "schedule.warmup_epochs=1", "schedule.final_fraction=0.1")
    _, _, epochs = trained("trainer.epochs=4", "optimizer.learning_rate=0.01", *schedule)
    rates = epochs["learning_rate"]
    # Three steps an epoch: the warm-up is over after the first three of twelve, the last one has a
    # tenth, and eight steps lead there; an epoch's rate is that of the step to come.
    turns = np.minimum(np.array([0, 3, 6, 9]) / 8, 1) * np.pi
    expected = 0.001 + 0.009 * (1 + np.cos(turns)) / 2
    np.testing.assert_allclose(rates, expected, rtol=1e-5)


def test_averaged_weights_are_what_is_validated_and_kept(tiny_dataset, tmp_path):
    """The moving average, worked out step by step beside the training."""
    cfg = tiny_dataset(
        "tracking=none", "optimizer.use_ema=true", "optimizer.ema_momentum=0.5", "callbacks=none"
    )
    tensorflow.prepare(ProcessSettings.from_config(cfg))
    dataset = datasets.load(cfg)
    model = fit.compiled_model(TrainingSettings.from_config(cfg), dataset)
    weight = model.trainable_variables[0]
    after_step: list[np.ndarray] = []
    validated: list[np.ndarray] = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            after_step.append(keras.ops.convert_to_numpy(weight))

        def on_epoch_end(self, epoch, logs=None):
            validated.append(keras.ops.convert_to_numpy(weight))

    average = always.AveragedWeights()
    feed = feeding.feed(FeedSettings.from_config(cfg), dataset)
    model.fit(
        feed.training, steps_per_epoch=feed.steps, epochs=2, verbose=0, shuffle=False,
        validation_data=feed.validation, callbacks=[average, Watch()],
    )  # fmt: skip
    expected = after_step[0]
    for value in after_step[1:]:
        expected = 0.5 * expected + 0.5 * value
    np.testing.assert_allclose(validated[-1], expected, rtol=1e-5)
    assert np.abs(validated[-1] - after_step[-1]).max() > 1e-4


def test_the_profile_says_where_the_time_goes(trained, tmp_path):
    trained("trainer.profile=true", "trainer.epochs=3")
    table = pd.read_csv(tmp_path / "profile.csv").set_index("phase")
    phases = {"input", "training step", "validation", "curves", "best checkpoint", "state"}
    assert phases <= set(table.index) and (table["seconds"] >= 0).all()
    assert table["seconds"].drop("all").sum() == pytest.approx(table.loc["all", "seconds"])
    assert table.loc["training step", "seconds"] > 0 and table.loc["all", "share"] == 1


@pytest.mark.heavy
def test_a_slow_reader_is_seen_as_input(trained, tmp_path, monkeypatch):
    read = SampleReader.read

    def slow(self, index):
        time.sleep(0.15)
        return read(self, index)

    monkeypatch.setattr(SampleReader, "read", slow)
    trained("trainer.profile=true", "trainer.epochs=3", "trainer.batch_size=1")
    table = pd.read_csv(tmp_path / "profile.csv").set_index("phase")
    # Eleven pictures one at a time, two of them read ahead: 1.35 s, of which the steps hide some.
    assert table.loc["input", "seconds"] > 0.5


class Shapeless(keras.layers.Layer):
    """A layer that is computed but has no symbolic shape at the size of training."""

    def compute_output_spec(self, inputs):
        if None not in inputs.shape[1:]:
            raise NotImplementedError("no shape of this size")
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def call(self, inputs):
        return inputs


def test_a_model_that_cannot_be_described_is_warned_of_and_trained(tiny_dataset, caplog):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(2, 1)(Shapeless(name="odd")(image)))
    text = fit.describe(model, (64, 64))
    assert "no layer table" in text and "'odd'" in text and "8 trainable" in text
    (warning,) = caplog.messages
    assert "cannot be listed" in warning and "'odd'" in warning


@pytest.mark.parametrize("side", [256, 64])
def test_the_stored_example_is_small_where_the_network_takes_any_size(tiny_dataset, side):
    cfg = tiny_dataset(f"dataset.image_size={side}")
    settings, dataset = TrainingSettings.from_config(cfg), datasets.load(cfg)
    model = fit.compiled_model(settings, dataset)
    example = fit.input_example(model, settings, dataset)
    assert (example.shape, example.dtype) == ((1, *2 * [fit.EXAMPLE_SIDE], 3), np.uint8)
    assert np.shape(model(example)) == (*example.shape[:3], dataset.num_classes)
    fixed = keras.Model(image := keras.Input((side, side, 3)), model(image))
    assert fit.input_example(fixed, settings, dataset).shape == (1, side, side, 3)
    settings.model["_target_"] = "of_a_package.that_says_no_divisor"
    assert fit.input_example(model, settings, dataset).shape == (1, side, side, 3)
