"""Callbacks that every training has: learning rate, averaged weights, phases, figures, progress."""

from __future__ import annotations

import logging
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import keras
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flexunet_exp.data.feed import good_share
from flexunet_exp.losses.pool import BatchPool
from flexunet_exp.models.encoders.encoder import Encoder
from flexunet_exp.system import collection, interrupt
from flexunet_exp.tracking.tracker import Tracker

log = logging.getLogger(__name__)


class AveragedWeights(keras.callbacks.Callback):
    """Validates and saves the moving average of the trained weights (optimizer.use_ema).

    The weights and their average change places before validation and again before the next epoch,
    so that every other callback sees the average at an epoch's end. (Keras's SwapEMAWeights swaps
    by adding and subtracting, which rounds the trained weights.)
    """

    def __init__(self) -> None:
        super().__init__()
        self.averaged = False

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        if self.averaged:
            self.swap()

    def on_test_begin(self, logs: Mapping | None = None) -> None:
        if not self.averaged:
            self.swap()

    def swap(self) -> None:
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # LossScaleOptimizer wraps it
        averages = optimizer._model_variables_moving_average
        # Those of a part that is trained later are among them, too.
        for weight, average in zip(optimizer._trainable_variables, averages, strict=True):
            kept = keras.ops.convert_to_numpy(weight)
            weight.assign(average)
            average.assign(kept)
        self.averaged = not self.averaged


class EncoderPhases(keras.callbacks.Callback):
    """Freezes the encoder in the first epochs, where the decoder is trained alone.

    The graph of a step has the weights that were trained when it was traced, so a change traces
    another.
    """

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        if self.encoder.let_train(epoch):
            self.model.make_train_function(force=True)
        if epoch == self.encoder.from_epoch > 0:
            log.info("From this epoch on the encoder is trained, too.")


class PooledBatches(keras.callbacks.Callback):
    """Turns a loss's pool on for the steps of a training, and off for validation."""

    def __init__(self, pool: BatchPool):
        super().__init__()
        self.pool = pool

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self.pool.turn(on=True)

    def on_test_begin(self, logs: Mapping | None = None) -> None:
        self.pool.turn(on=False)

    def on_test_end(self, logs: Mapping | None = None) -> None:
        self.pool.turn(on=True)

    def on_train_end(self, logs: Mapping | None = None) -> None:
        self.pool.turn(on=False)


class AdaptiveGoodShare(keras.callbacks.Callback):
    """Keeps what each validation has invented, from which the share of good pictures follows.

    `invented` has those of the epochs before, where a training goes on; `steps` are those of an
    epoch. Adds the share that the epoch was drawn with to the figures of later callbacks.
    """

    def __init__(self, invented: Sequence[float], steps: int):
        super().__init__()
        self.invented, self.steps = list(invented), steps

    def share_of(self, epoch: int) -> float:
        return good_share.share_of(epoch, self.invented, self.steps)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            self.invented.append(float(logs["val_invented"]))
            logs["good_share"] = self.share_of(epoch)


class LearningRate(keras.callbacks.Callback):
    """Adds the learning rate at the epoch's end to the figures that later callbacks receive."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
            logs["learning_rate"] = float(rate)


class EpochMetrics(keras.callbacks.Callback):
    """Sends each epoch's figures to the store, as epoch/train/… and epoch/val/…"""

    def __init__(self, tracker: Tracker):
        super().__init__()
        self.tracker = tracker

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        figures = {metric_name(name): float(value) for name, value in (logs or {}).items()}
        self.tracker.metrics(figures, step=epoch + 1)


class CollectAfterTracing(keras.callbacks.Callback):
    """Collects no garbage until the first step is traced: see `system.collection`."""

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        collection.pause()

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        collection.resume()


class EpochLine(keras.callbacks.Callback):
    """Logs one line an epoch, and displays a bar on a terminal.

    Both show images a second and the time left. After a Ctrl-C, the next step raises
    KeyboardInterrupt. An epoch trains on `num_images`, a step on `batch_size`.
    """

    def __init__(self, epochs: int, num_images: int, batch_size: int):
        super().__init__()
        self.epochs, self.num_images, self.batch_size = epochs, num_images, batch_size
        self.bar: Progress | None = None
        self.durations: list[float] = []  # of the epochs so far, in seconds

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self.started = time.perf_counter()
        self.rate = 0.0
        if sys.stdout.isatty():
            rate = TextColumn("{task.fields[rate]:.3g} images/s")
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate)
            self.bar = Progress(*columns, TimeRemainingColumn(), transient=True)
            title = f"epoch {epoch + 1}/{self.epochs}{self.time_left(epoch)}"
            self.task = self.bar.add_task(title, total=self.num_images, rate=0.0)
            self.bar.start()

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        interrupt.check()
        done = min((batch + 1) * self.batch_size, self.num_images)
        self.rate = done / (time.perf_counter() - self.started)
        if self.bar:
            self.bar.update(self.task, completed=done, rate=self.rate)

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self.close()
        self.durations.append(time.perf_counter() - self.started)
        shown = ("loss", "val_loss", "dice", "val_dice", "learning_rate")
        figures = [f"{name} {float(logs[name]):.4g}" for name in shown if logs and name in logs]
        figures += [f"{self.rate:.3g} images/s", f"{self.durations[-1]:.1f} s"]
        line = "  ".join(figures) + self.time_left(epoch + 1)
        log.info("epoch %d/%d  %s", epoch + 1, self.epochs, line)

    def time_left(self, epochs_done: int) -> str:
        """The time that the remaining epochs will take; empty before the first one was timed."""
        left = self.epochs - epochs_done
        if not self.durations or not left:
            return ""
        seconds = left * statistics.median(self.durations)
        return f", {seconds:.0f} s left" if seconds < 100 else f", {seconds / 60:.0f} min left"

    def close(self) -> None:
        if self.bar:
            with suppress(OSError):  # the terminal may be gone
                self.bar.stop()
            self.bar = None


def metric_name(name: str) -> str:
    """The store's name for a figure of Keras's logs: val_dice/bent → epoch/val/dice/bent."""
    if name == "learning_rate":
        return "epoch/learning_rate"
    split, figure = ("val", name[4:]) if name.startswith("val_") else ("train", name)
    return f"epoch/{split}/{figure}"
