"""trainer.profile=true: times the phases of an epoch."""

from __future__ import annotations

import io
import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import pandas as pd
import tensorflow as tf
from rich import box
from rich.console import Console
from rich.table import Table

log = logging.getLogger(__name__)

FILE = "profile.csv"


class Profile(keras.callbacks.Callback):
    """Times the phases of every epoch and writes their means to profile.csv.

    The phases are waiting for input, the training step, validation, and each callback's work at the
    epoch's end. It is the first callback; `watching` puts a clock behind each of the others. The
    first epoch, which builds the graph, counts only where it is the only one.
    """

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.epochs: list[dict[str, float]] = []
        self.batch_ready = self.mark = time.perf_counter()

    def watching(
        self, named: Mapping[str, keras.callbacks.Callback]
    ) -> list[keras.callbacks.Callback]:
        """All callbacks in order, with this one's clocks between them."""
        timed = [[callback, Clock(self, name)] for name, callback in named.items()]
        return [self, *(callback for pair in timed for callback in pair)]

    def timing_batches(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """The same batches; notes the time at which each one is ready."""

        def note(images: tf.Tensor, masks: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.control_dependencies([tf.numpy_function(self.record_batch, [], tf.bool)]):
                return tf.identity(images), tf.identity(masks)

        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False  # would note too early
        return batches.map(note).with_options(options)

    def record_batch(self) -> bool:
        self.batch_ready = time.perf_counter()
        return True

    def add(self, phase: str) -> None:
        """Adds the time since the last mark to a phase."""
        now = time.perf_counter()
        self.seconds[phase] += now - self.mark
        self.mark = now

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.mark = time.perf_counter()

    def on_train_batch_begin(self, batch: int, logs: Mapping | None = None) -> None:
        self.add("between steps")

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        self.seconds["input"] += self.batch_ready - self.mark
        self.mark = self.batch_ready
        self.add("training step")

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self.add("validation")
        self.epochs.append(self.seconds)

    def on_train_end(self, logs: Mapping | None = None) -> None:
        if self.epochs:
            table = summary(self.epochs)
            table.to_csv(self.path, index=False)
            log.info("%s", drawn(table))


class Clock(keras.callbacks.Callback):
    """Times the callback before it at the end of an epoch."""

    def __init__(self, profile: Profile, name: str):
        super().__init__()
        self.profile, self.name = profile, name.strip("()").replace("_", " ")

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self.profile.add(self.name)


def summary(epochs: Sequence[Mapping[str, float]]) -> pd.DataFrame:
    """A row a phase, the mean over epochs: `phase seconds share`; longest first, the sum last."""
    warm = epochs[1:] or epochs
    means = pd.DataFrame(list(warm)).fillna(0.0).mean().sort_values(ascending=False)
    means["all"] = means.sum()
    shares = means / means["all"]
    return pd.DataFrame({"phase": means.index, "seconds": means.values, "share": shares.values})


def drawn(table: pd.DataFrame) -> str:
    rows = Table(box=box.SIMPLE, title="Where an epoch's time goes", title_justify="left")
    rows.add_column("phase")
    for column in ("seconds", "share"):
        rows.add_column(column, justify="right")
    for row in table.itertuples(index=False):
        rows.add_row(str(row.phase), f"{row.seconds:.3f}", f"{row.share:.1%}")
    text = io.StringIO()
    Console(file=text, width=80, color_system=None).print(rows)
    return text.getvalue()
