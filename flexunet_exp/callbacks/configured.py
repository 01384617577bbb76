"""Callbacks that a yaml names: checkpoints, curves, pictures, and reasons to end a training.

A callback with the argument `run` receives the `Run` it belongs to; the yaml has the others.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from flexunet_exp.callbacks.qualifying import qualifies
from flexunet_exp.config.compose import sides
from flexunet_exp.data.dataset import Dataset, rows, sample_name
from flexunet_exp.data.masks import write_palette_mask
from flexunet_exp.data.splits import pick_samples
from flexunet_exp.errors import Hopeless
from flexunet_exp.models.files import save_again
from flexunet_exp.prediction.predictor import Predictor, collect
from flexunet_exp.reporting import panels, plots
from flexunet_exp.runs import claims
from flexunet_exp.tracking.store import STOPPED
from flexunet_exp.tracking.tracker import Tracker

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """What a callback knows of its run: folder, data, how the network predicts, and the store.

    `epochs_before` counts the epochs of the state from which the run goes on; 0 for a new run.
    """

    folder: Path
    dataset: Dataset
    predictor: Predictor
    tracker: Tracker
    epochs_before: int = 0


class NanGuard(keras.callbacks.Callback):
    """Raises Hopeless, with epoch and step, at the first training loss that is not finite."""

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise Hopeless(
                f"The training loss became {loss} in epoch {self.epoch + 1}, step {batch + 1}. Try "
                "a smaller optimizer.learning_rate, optimizer.clipvalue=0.5, or "
                "model.input_scaling=unit."
            )


class BestCheckpoint(keras.callbacks.Callback):
    """Writes best.keras into the run folder whenever the monitored figure improves.

    Only epochs that qualify count (callbacks/qualifying.py). The file holds the network without
    optimizer state, which is a third of the size. It is replaced in one step, so that a
    reader never sees a part of it.
    """

    def __init__(self, monitor: str, mode: str, run: Run):
        super().__init__()
        self.monitor, self.sign = monitor, 1 if mode == "max" else -1
        self.path = run.folder / "best.keras"
        self.spare = run.folder / claims.FOLDER / "spare.keras"
        self.best = -math.inf
        self.epoch: int | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        score = self.sign * float((logs or {})[self.monitor])
        if score > self.best and qualifies(self.model, logs):
            self.best, self.epoch = score, epoch
            save_again(self.model, self.path, self.spare)


class EpochImages(keras.callbacks.Callback):
    """Predicts the same pictures before training, every `every` epochs and after the last one.

    It writes them as masks and panels. The pictures are chosen by hash over the whole data set;
    each panel names the picture's split.
    Files: epoch_change_infer/epoch_0007_<name>.png (palette mask, native size) and …_panel.png.
    """

    place = "epoch_change_infer"  # in the run folder and in the store

    def __init__(self, num_images: int, every: int, run: Run):
        super().__init__()
        self.every, self.run, self.predictor = every, run, run.predictor
        self.folder = run.folder / self.place
        table = pick_samples(run.dataset.table, num_images)
        self.samples = list(rows(table))
        self.pairs = [run.dataset.read(sample) for sample in self.samples]
        self.left_out, self.epoch = False, 0

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        for path in self.folder.glob("epoch_*_*.png"):
            if int(path.name.split("_")[1]) > self.run.epochs_before:
                path.unlink()  # of an epoch after the state: it is trained again
        if self.run.epochs_before == 0:
            self.predict(0)  # the slider of the MLflow UI opens at step 0

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        is_last = self.model.stop_training or epoch + 1 == self.params["epochs"]
        self.left_out = not is_last and (epoch + 1) % self.every != 0
        self.epoch = epoch + 1
        if not self.left_out:
            self.predict(self.epoch)

    def on_train_end(self, logs: Mapping | None = None) -> None:
        if self.left_out:  # a callback after this one ended the training
            self.predict(self.epoch)

    def predict(self, epoch: int) -> None:
        self.folder.mkdir(exist_ok=True)
        images = [image for image, _ in self.pairs]
        predictions = self.predictor(images)
        for sample, (image, truth), bands in zip(
            self.samples, self.pairs, predictions, strict=True
        ):
            self.show(epoch, sample, image, truth, collect(bands, truth.shape).mask)

    def show(self, epoch: int, sample: Any, image, truth, prediction) -> None:
        dataset, name = self.run.dataset, sample_name(sample)
        path = self.folder / f"epoch_{epoch:04d}_{name}.png"
        write_palette_mask(path, prediction, dataset.palette)
        title = f"{name} ({sample.split}), epoch {epoch}"
        panel = panels.panel(image, truth, prediction, dataset.class_names, dataset.palette, title)
        panel_path = path.with_name(f"{path.stem}_panel.png")
        panels.write_png(panel_path, panel)
        self.run.tracker.image(f"{self.place}/{name}", panel_path, epoch)


class TiledEpochImages(EpochImages):
    """The pictures of EpochImages, predicted in tiles whatever predict.tile is.

    `tile` is a side or [height, width] in a picture's own pixels, `overlap` the share of it that
    neighbours have in common, 0 to below 1. Files: those of EpochImages, in
    epoch_change_tiled_infer/.
    """

    place = "epoch_change_tiled_infer"

    def __init__(self, num_images: int, every: int, tile: Any, overlap: float, run: Run):
        super().__init__(num_images, every, run)
        whole = run.predictor
        self.predictor = Predictor(whole.model, whole.size, whole.batch_size, sides(tile), overlap)


class Curves(keras.callbacks.Callback):
    """Writes train_losses.csv|png and train_metrics.csv|png into the run folder every epoch."""

    def __init__(self, metric: str, monitor: str, mode: str, run: Run):
        super().__init__()
        self.metric, self.monitor, self.folder = metric, monitor, run.folder
        self.sign = 1 if mode == "max" else -1
        self.rows: list[dict[str, float]] = []
        self.qualified: list[int] = []  # epochs, counted from 0

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self.rows.append({"epoch": epoch + 1, **{k: float(v) for k, v in (logs or {}).items()}})
        if qualifies(self.model, logs):
            self.qualified.append(epoch)
        table = pd.DataFrame(self.rows)
        losses = [name for name in ("epoch", "loss", "val_loss") if name in table]
        table[losses].to_csv(self.folder / "train_losses.csv", index=False)
        others = table.drop(columns=[name for name in losses if name != "epoch"])
        others.to_csv(self.folder / "train_metrics.csv", index=False)
        self.draw(table, "loss", "train_losses.png")
        self.draw(table, self.metric, "train_metrics.png")

    def draw(self, table: pd.DataFrame, name: str, file: str) -> None:
        columns = {name: "train", f"val_{name}": "valid"}
        curves = table.set_index("epoch").reindex(columns=list(columns)).rename(columns=columns)
        scores = self.sign * table[self.monitor]
        best = max(self.qualified, key=lambda number: scores[number], default=None)
        path, title = self.folder / file, f"{name} by epoch"
        epoch = None if best is None else best + 1
        monitor = self.monitor
        plots.curves(curves, path, ylabel=name, title=title, best_epoch=epoch, best_by=monitor)


class StopFile(keras.callbacks.Callback):
    """Ends the training after the epoch in which a file STOP appears in the run folder."""

    def __init__(self, run: Run):
        super().__init__()
        self.path, self.tracker = run.folder / "STOP", run.tracker
        self.stopped_epoch: int | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        if self.path.exists():
            log.info("Found %s: stopping after epoch %d.", self.path, epoch + 1)
            self.tracker.tag({STOPPED: f"STOP file after epoch {epoch + 1}"})
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Mapping | None = None) -> None:
        self.path.unlink(missing_ok=True)
