"""The best epoch beats predicting nothing and everything; patience counts from the first such."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from flexunet_exp.callbacks import configured, qualifying
from flexunet_exp.metrics import SegmentationScores
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.tracker import Tracker

NAMES = ["background", "bent", "broken"]
TRUTH = np.zeros((1, 10, 10), np.uint8)
TRUTH[0, 0, :5], TRUTH[0, 1, :1] = 1, 2  # 5 and 1 of 100 pixels


@pytest.fixture
def network():
    """A network that has just been validated on the masks above."""
    image = keras.Input((10, 10, 3))
    model = keras.Model(image, keras.layers.Conv2D(3, 1)(image))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=[SegmentationScores(NAMES)])
    model.evaluate(np.zeros((1, 10, 10, 3), np.float32), TRUTH, verbose=0)
    return model


def test_the_bar_is_what_painting_everything_scores_by_hand():
    expected = (2 * 0.05 / 1.05 + 2 * 0.01 / 1.01) / 2
    assert qualifying.bar(np.array([94, 5, 1])) == pytest.approx(expected)
    assert qualifying.bar(np.array([94, 5, 0])) == pytest.approx(2 * (5 / 99) / (1 + 5 / 99))
    assert qualifying.bar(np.array([100, 0, 0])) == 0.0


def test_painting_everything_as_the_only_class_does_not_qualify():
    """Its macro Dice is the bar exactly."""
    metric = SegmentationScores(["background", "bent"])
    truth = (TRUTH > 0).astype(np.uint8)
    metric.update_state(truth, np.tile([0.0, 1.0], (1, 10, 10, 1)))
    scored = float(metric.result()["dice"])
    assert scored == pytest.approx(qualifying.bar(np.array([94, 6])))


def test_the_bar_follows_the_masks_that_were_validated(network):
    np.testing.assert_array_equal(qualifying.validated_pixels(network), [94, 5, 1])
    bar = qualifying.bar(np.array([94, 5, 1]))
    assert not qualifying.qualifies(network, {"val_dice": bar})
    assert not qualifying.qualifies(network, {"val_dice": 0.0})
    assert qualifying.qualifies(network, {"val_dice": bar + 1e-6})


@pytest.mark.parametrize(
    ("monitor", "mode", "scores", "kept"),
    [
        ("val_dice", "max", [0.01, 0.02, 0.03], None),  # none exceeds the bar, 0.0575
        ("val_dice", "max", [0.01, 0.2, 0.1], 1),
        ("val_loss", "min", [0.01, 0.2, 0.1], 2),  # the loss falls: the last that qualifies
        ("val_loss", "min", [0.01, 0.2, 0.01], 1),  # a lower loss that predicts nothing
    ],
)
def test_the_checkpoint_keeps_qualifying_epochs_only(
    network, tmp_path, monitor, mode, scores, kept
):
    tracker = Tracker(TrackingSettings(None, "flexunet"), "test", tmp_path)
    run = configured.Run(tmp_path, None, None, tracker)
    checkpoint = configured.BestCheckpoint(monitor, mode, run)
    checkpoint.set_model(network)
    for epoch, dice in enumerate(scores):
        checkpoint.on_epoch_end(epoch, {"val_dice": dice, "val_loss": 1 - epoch / 10})
    assert checkpoint.epoch == kept
    assert (tmp_path / "best.keras").exists() == (kept is not None)


def early_stopping_after(network, scores: list[float], patience: int) -> int:
    """The number of epochs until early stopping ends a training with these scores."""
    early = keras.callbacks.EarlyStopping("val_dice", mode="max", patience=patience)
    both = [qualifying.FromFirstQualifying([early]), early]
    for callback in both:
        callback.set_model(network)
        callback.on_train_begin()
    network.stop_training = False
    for epoch, dice in enumerate(scores):
        for callback in both:
            callback.on_epoch_end(epoch, {"val_dice": dice})
        if network.stop_training:
            return epoch + 1
    return len(scores)


def test_patience_counts_from_the_first_qualifying_epoch(network):
    slow = [0.004, *[0.0] * 10, 0.1, 0.09, 0.08, 0.07, 0.06]
    assert early_stopping_after(network, slow, patience=3) == 15
    assert early_stopping_after(network, [0.0] * 10, patience=3) == 10
    assert early_stopping_after(network, [0.1, 0.0, 0.0, 0.0, 0.0], patience=3) == 4
