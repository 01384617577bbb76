"""The work of one process on a run that it has claimed, from the run's state to its end."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from flexunet_exp.config.identity import Identity
from flexunet_exp.errors import InputError
from flexunet_exp.evaluation import calibrating, scoring
from flexunet_exp.evaluation.settings import ScoreSettings, report_facts
from flexunet_exp.prediction import networks
from flexunet_exp.prediction.networks import Blueprint
from flexunet_exp.runs.claims import Claim
from flexunet_exp.tracking import address, record
from flexunet_exp.tracking.record import BEST_DICE
from flexunet_exp.tracking.store import (
    CONTINUES,
    COURSE,
    EFFORT,
    EPOCHS,
    INIT_FROM,
    LEARNED,
    MINUTES,
    SCORING,
    SIGNATURE,
    Store,
    has_learned,
)
from flexunet_exp.tracking.tracker import Tracker
from flexunet_exp.training import continuing, fit, memory, starting, state
from flexunet_exp.training.memory import Prediction
from flexunet_exp.training.settings import Request, TrainingSettings
from flexunet_exp.training.starting import Start

if TYPE_CHECKING:
    import keras

    from flexunet_exp.data.dataset import Dataset

log = logging.getLogger(__name__)

NOTHING_LEARNED = (
    "Learned        nothing: no epoch beat predicting nothing and everything (tag learned=false). "
    "run=best, promote and the winner of a sweep pass this run over."
)


class Attempt:
    """One process's work on a run: `begin`, `fit`, `evaluate`, `record`, in this order.

    The network is built when the attempt is made.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        dataset: Dataset,
        claim: Claim,
        tracker: Tracker,
        start: Start | None = None,
    ):
        self.settings, self.dataset, self.tracker = settings, dataset, tracker
        self.claim, self.folder = claim, claim.run_folder
        if settings.predict.calibrated and not calibrating.has_defects(dataset):
            raise InputError(
                "predict.calibrated=true: no validation picture shows a defect, on which "
                "temperatures are fitted. Leave it out, or choose a split with validation pictures."
            )
        self.model = fit.compiled_model(settings, dataset)
        self.start = start
        if start:
            starting.take_over(self.model, start, self.folder)
        self.keeper = state.Keeper(claim.folder, tracker)
        self.predicted: Prediction | None = None
        (self.folder / "model.txt").write_text(fit.describe(self.model, settings.feed.size))

    def begin(self, cfg: DictConfig, identity: Identity, request: Request) -> None:
        """Opens the run in the store, and takes the weights of one that trained the same.

        The search for that one comes first: where the store does not answer, no run must be begun.
        The state is read next, because reading it puts the outbox back to the length it had when
        the state was written; the entries of `record.begin` follow.
        """
        store = (
            self.tracker.store_with(identity.signature, identity.course)
            if request.rerun != "all"
            else None
        )
        same = store.same_weights(identity.signature) if store else None
        if not same and not self.claim.has_state and request.goes_on:
            self.go_on_from_shorter(store, identity.course)
        self.progress = self.keeper.read()
        tags = {**tags_of(identity), EPOCHS: str(self.settings.feed.epochs), **self.origin()}
        weights = dict(fit.origin_of(self.model))
        record.begin(self.tracker, cfg, self.dataset, self.folder, tags | weights, weights)
        if self.start:
            self.tracker.artifact(self.folder / starting.LAYERS, "config")
        self.is_whole = not self.progress.epochs  # else its minutes are those of the rest alone
        if store and same and self.is_whole:
            self.progress.best_dice = record.take_weights(store, same, self.keeper.best)
            self.progress.fitted, self.is_whole = True, False
            self.progress.learned = has_learned(same)
        self.course = identity.course

    def go_on_from_shorter(self, store: Store | None, course: str) -> None:
        """Goes on from the last state of a finished run of fewer epochs; else says why not."""
        shorter = continuing.find(store, course, self.settings.feed.epochs)
        if shorter is None:
            return
        is_constant = fit.is_constant(self.model)
        goes_on = is_constant and shorter.has_state
        if not (goes_on and continuing.take_up(shorter, self.keeper)):
            continuing.offer(shorter, is_constant)

    def origin(self) -> dict[str, str]:
        """The tags of what this run began with, if not with random weights."""
        tags = {CONTINUES: self.progress.parent} if self.progress.parent else {}
        return tags | ({INIT_FROM: self.start.source} if self.start else {})

    def fit(self, extra: Mapping[str, keras.callbacks.Callback]) -> None:
        """Trains what is left; `extra` are callbacks beside the configured ones."""
        memory.forget_peak()
        if not self.progress.fitted:
            self.predicted = memory.log_prediction(self.model, self.settings)
        fit.fit(self.model, self.settings, self.dataset, self.keeper, self.progress, extra)
        self.peak = memory.peak()
        continuing.mark(self.folder, self.course, self.progress.epochs)
        if not self.progress.learned:
            self.tracker.tag({LEARNED: "false"})

    def evaluate(self, score: ScoreSettings, title: str) -> dict[str, float]:
        """The run's figures; scores the network once, and keeps the figures with the state."""
        if self.progress.figures is None:
            self.progress.figures = self.scored(score, title)
            self.tracker.metrics({BEST_DICE: self.progress.best_dice, **self.progress.figures})
            self.keeper.write(self.progress)
        return self.progress.figures

    def scored(self, score: ScoreSettings, title: str) -> dict[str, float]:
        """The figures of the network, as `predict.*` and `score.*` say, and of its calibration."""
        settings, predict = self.settings, self.settings.predict
        made = Blueprint(settings.model, predict.size, settings.process.precision)
        network = networks.in_precision(self.model, made, predict.precision)
        # Calibration and scores ask for the same validation pictures.
        predictor = networks.predictor(network, predict).keeping()
        best, folder = self.keeper.best, self.folder
        fitted = calibrating.calibrate(predictor, predict, self.dataset, best, folder)
        facts = report_facts(predict, score)
        if fitted is not None:
            facts["calibration"] = fitted.describe()
        if fitted is not None and predict.calibrated:
            predictor = predictor.calibrated(fitted.divisors)
        part = scoring.Part(predictor, self.dataset)
        figures = scoring.score([part], folder / "evaluation", score, title, facts)
        return figures | (fitted.figures if fitted is not None else {})

    def record(self) -> None:
        """Copies what the run left into the store."""
        record.mirror(self.tracker, self.folder)
        example = fit.input_example(self.model, self.settings, self.dataset)
        self.tracker.model(self.keeper.best, example)
        if self.is_whole:
            minutes = time.time() / 60 - self.tracker.started / 60_000
            self.tracker.tag({MINUTES: f"{minutes:.2f}"})

    def log_end(self) -> None:
        """Logs how the training ended, and where the run's figures and pictures are."""
        folder, tracker, progress = self.folder, self.tracker, self.progress
        batch_size = self.settings.feed.batch_size
        log.info("")
        if progress.ended:  # else its weights are those of an earlier run
            log.info("Training       %s", progress.ended)
            log.info("Kept           %s", progress.chosen)
        if self.predicted:
            log.info("Memory         %s", self.predicted.beside(self.peak, batch_size))
        if not progress.learned:
            log.warning(NOTHING_LEARNED)
        log.info("Run folder     %s", folder)
        scored = [split for split in scoring.SCORED if len(self.dataset.split(split))]
        log.info("Pictures       %s", folder / "evaluation" / scored[-1] / "figures")
        if "test" not in scored:
            log.info("There is no test part: these are scores of valid, which chose the epoch.")
        if (folder / "epoch_change_infer").is_dir():
            log.info("Epoch pictures %s", folder / "epoch_change_infer")
        if store := tracker.store:
            words = address.store_words(store.uri, store.name)
            command = shlex.join(["flexunet", "ui", *words])
            log.info("All runs       %s   (%s)", command, store.uri)


def tags_of(identity: Identity) -> dict[str, str]:
    """The tags by which the store finds the run again."""
    return {
        SIGNATURE: identity.signature,
        SCORING: identity.scoring,
        EFFORT: identity.effort,
        COURSE: identity.course,
    }
