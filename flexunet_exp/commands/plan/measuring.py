"""A short measurement on this machine: the training's own code, on a few of the set's pictures."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import pandas as pd

from flexunet_exp.callbacks import configured
from flexunet_exp.commands.plan.budget import Candidate, Measured
from flexunet_exp.data import splits
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.feed import kept_features
from flexunet_exp.data.tiles import Size
from flexunet_exp.evaluation import results, scoring
from flexunet_exp.evaluation.settings import ScoreSettings
from flexunet_exp.prediction import networks
from flexunet_exp.system import memory
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.tracker import Tracker
from flexunet_exp.training import features, fit, state
from flexunet_exp.training.settings import TrainingSettings

log = logging.getLogger(__name__)

TRAINED_ON, VALIDATED_ON, SCORED_ON = 6, 2, 2  # pictures
EPOCHS = 3  # the first step and the first validation trace
CONSTANT = {"_target_": "flexunet_exp.schedules.constant"}


class Watch(keras.callbacks.Callback):
    """The seconds of each step and of each validation."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[float] = []  # when each began
        self.steps: list[float] = []
        self.validations: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(time.perf_counter())

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps.append(time.perf_counter() - self.began)

    def on_test_begin(self, logs: Any = None) -> None:
        self.began = time.perf_counter()

    def on_test_end(self, logs: Any = None) -> None:
        self.validations.append(time.perf_counter() - self.began)

    def rest(self) -> float:
        """The seconds of the second epoch beside its steps and its validation."""
        an_epoch = len(self.steps) // EPOCHS
        spent = sum(self.steps[an_epoch : 2 * an_epoch]) + self.validations[1]
        return max(0.0, self.epochs[2] - self.epochs[1] - spent)


def measure(
    settings: TrainingSettings,
    score: ScoreSettings,
    dataset: Dataset,
    candidate: Candidate,
    start: float,
) -> Measured:
    """What the training takes on this machine, seen at the candidate's size.

    `start` are the seconds that the command took until here. Writes into the cache folder, and
    removes it again. Raises InputError where the network cannot be built or trained from features.
    """
    few, before = some_of(dataset), memory.peak()
    with TemporaryDirectory(dir=settings.feed.cache_dir, prefix="plan_") as scratch:
        feed = replace(
            settings.feed,
            size=candidate.size,
            feature_patch=(candidate.patch, candidate.patch) if candidate.patch else None,
            transforms=(),
            views=None,
            sampling="uniform",
            good_share=None,
            epochs=EPOCHS,
            cache_dir=Path(scratch),
        )
        # A cosine over a few steps would warn of its warm-up.
        settings = replace(settings, feed=feed, schedule=CONSTANT)
        began = time.perf_counter()
        model = fit.compiled_model(settings, few)
        assert isinstance(model, features.FromFeatures)
        model.extractor.predict_on_batch(blank(kept_features.AT_ONCE, model, feed.size))
        start += time.perf_counter() - began
        kept, view = timed_features(model, settings, few)
        log.info("  features     %.2f s a view", view)
        watch, step, seen = timed_training(model, settings, few, kept, Path(scratch))
        valid = watch.validations[-1] / len(few.split("valid"))
        log.info(
            "  training     %.2f s a step, %.2f s a validation picture, %.2f s more an epoch",
            *(step, valid, watch.rest()),
        )
        start += watch.steps[0] + watch.validations[0]
        network, rest, report = timed_scoring(model, settings, score, few, Path(scratch))
        log.info("  scoring      %.2f s a picture", network + rest)
    return Measured(
        start=start,
        view_mpx=view / candidate.mpx,
        step_mpx=step / seen,
        epoch=watch.rest(),
        valid_mpx=valid / candidate.mpx,
        predict_mpx=network / candidate.mpx,
        score=rest,
        report=report,
        bytes_mpx=kept.cache.maps.bytes / candidate.mpx,
        memory=before,
        memory_mpx=(memory.peak() - before) / candidate.mpx,
    )


def some_of(dataset: Dataset) -> Dataset:
    """A few pictures of each split, of all classes in turn; of valid, where none is to test."""
    table = dataset.table
    numbers = {"train": TRAINED_ON, "valid": VALIDATED_ON, "test": SCORED_ON}
    parts = [
        splits.pick_samples(table[table["split"] == name], number)
        for name, number in numbers.items()
    ]
    return replace(dataset, table=pd.concat(parts).reset_index(drop=True))


def timed_features(
    model: features.FromFeatures, settings: TrainingSettings, few: Dataset
) -> tuple[kept_features.KeptFeatures, float]:
    """The features of the few pictures, and the seconds of one view."""
    began = time.perf_counter()
    kept = features.kept(model, settings, few)
    return kept, (time.perf_counter() - began) / len(list(kept.places()))


def timed_training(
    model: features.FromFeatures,
    settings: TrainingSettings,
    few: Dataset,
    kept: kept_features.KeptFeatures,
    folder: Path,
) -> tuple[Watch, float, float]:
    """The times of a short training, the seconds of a step, and the million pixels it sees."""
    batches = kept_features.feed_of(settings.feed, few, kept, 0, 1)
    (folder / "resume").mkdir()
    keeper = state.Keeper(folder / "resume", Tracker(TrackingSettings(None, ""), "plan", folder))
    predictor = fit.predictor_in_training(model, settings)
    run = configured.Run(folder, few, predictor, keeper.tracker, 0)
    others = fit.all_callbacks(model, settings, run, keeper, keeper.read(), {})
    watch = Watch()
    model.fit(
        batches.training,
        steps_per_epoch=batches.steps,
        epochs=EPOCHS,
        validation_data=batches.validation,
        callbacks=[watch, *others.values()],
        shuffle=False,
        verbose=0,
    )
    height, width = settings.feed.feature_patch or settings.feed.size
    seen = batches.drawn / batches.steps * height * width / 1e6
    return watch, median(watch.steps[1:]), seen


def timed_scoring(
    model: keras.Model,
    settings: TrainingSettings,
    score: ScoreSettings,
    few: Dataset,
    folder: Path,
) -> tuple[float, float, float]:
    """Seconds of a picture in the network, of its scores, and of a split's figures and charts."""
    predict = replace(settings.predict, size=settings.feed.size)
    split = "test" if len(few.split("test")) else "valid"
    predictor = networks.predictor(model, predict)
    part = scoring.Part(predictor, few)
    number = len(few.split(split))
    some = blank(number, model, predict.size)
    predictor.forward(some)  # traces
    began = time.perf_counter()
    predictor.forward(some)
    network = (time.perf_counter() - began) / number
    began = time.perf_counter()
    scored = scoring.predict_split(part, split, folder / split, score.boundary_tolerance)
    rest = max(0.0, (time.perf_counter() - began) / number - network)
    began = time.perf_counter()
    results.write_evaluation(folder / split, scored.record, score.object_overlap, score.resamples)
    scoring.draw_panels(few, scored, folder / split)
    return network, rest, time.perf_counter() - began


def blank(number: int, model: keras.Model, size: Size) -> np.ndarray:
    """Pictures without content, as the network takes them."""
    return np.zeros((number, *size, model.input.shape[-1]), model.input.dtype)
