"""The last lines of a training: when it stopped, why, and which epoch was kept."""

from __future__ import annotations

import keras
import pytest

from flexunet_exp.callbacks import configured
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.tracker import Tracker
from flexunet_exp.training import ending


@pytest.fixture
def run(tmp_path):
    tracker = Tracker(TrackingSettings(None, "flexunet"), "test", tmp_path)
    return configured.Run(tmp_path, None, None, tracker)


def stopped(callback, epoch: int):
    """The callback after it has ended a training."""
    callback.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    callback.model.stop_training = True
    callback.stopped_epoch = epoch
    return callback


def test_all_epochs_are_done(run):
    early = stopped(keras.callbacks.EarlyStopping("val_dice", patience=1), 59)
    assert ending.why(59, 60, {"early_stopping": early}) == "all 60 epochs are done."


def test_early_stopping_says_since_when_and_its_patience():
    early = stopped(keras.callbacks.EarlyStopping("val_dice", patience=20), 22)
    early.best_epoch = 2
    text = ending.why(22, 60, {"early_stopping": early})
    assert text == (
        "stopped after epoch 23 of 60: no better val_dice since epoch 3 "
        "(callbacks.early_stopping.patience=20)."
    )


def test_a_stop_file_is_named_also_at_the_last_epoch(run):
    callbacks = {"stop_file": stopped(configured.StopFile(run), 4)}
    assert ending.why(4, 60, callbacks).startswith("stopped after epoch 5 of 60: a file STOP")
    assert "a file STOP" in ending.why(4, 5, callbacks)


def test_another_callback_ends_it():
    assert ending.why(6, 60, {"mine": keras.callbacks.Callback()}).endswith("a callback ended it.")


def test_which_epoch_is_kept(run):
    best = configured.BestCheckpoint("val_loss", "min", run)
    assert ending.chosen(9, [best], 0.0123).startswith("the last epoch, 10. No epoch's val_dice")
    assert "0.0123" in ending.chosen(9, [best], 0.0123)
    best.epoch, best.best = 4, -0.25
    assert ending.chosen(9, [best], 0.1) == "epoch 5, with the best val_loss, 0.2500."
    assert "no callback chose" in ending.chosen(9, [], 0.1)
