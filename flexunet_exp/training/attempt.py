"""The work of one process on a run that it has claimed, from the run's state to its end."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from flexunet_exp.config.identity import Identity
from flexunet_exp.evaluation import scoring
from flexunet_exp.evaluation.settings import ScoreSettings, report_facts
from flexunet_exp.prediction import networks
from flexunet_exp.prediction.networks import Blueprint
from flexunet_exp.runs.claims import Claim
from flexunet_exp.tracking import address, record
from flexunet_exp.tracking.record import BEST_DICE
from flexunet_exp.tracking.store import EFFORT, MINUTES, SCORING, SIGNATURE
from flexunet_exp.tracking.tracker import Tracker
from flexunet_exp.training import fit, state
from flexunet_exp.training.settings import TrainingSettings

if TYPE_CHECKING:
    import keras

    from flexunet_exp.data.dataset import Dataset

log = logging.getLogger(__name__)


class Attempt:
    """One process's work on a run: `begin`, `fit`, `evaluate`, `record`, in this order.

    The network is built when the attempt is made.
    """

    def __init__(
        self, settings: TrainingSettings, dataset: Dataset, claim: Claim, tracker: Tracker
    ):
        self.settings, self.dataset, self.tracker = settings, dataset, tracker
        self.folder, self.started = claim.run_folder, time.time()
        self.model = fit.compiled_model(settings, dataset)
        self.keeper = state.Keeper(claim.folder, tracker)
        (self.folder / "model.txt").write_text(fit.describe(self.model, settings.feed.size))

    def begin(self, cfg: DictConfig, identity: Identity) -> None:
        """Opens the run in the store, and takes the weights of one that trained the same.

        The search for that one comes first: where the store does not answer, no run must be begun.
        The state is read next, because reading it puts the outbox back to the length it had when
        the state was written; the entries of `record.begin` follow.
        """
        store = self.tracker.store_with(identity.signature) if cfg.rerun != "all" else None
        same = store.same_weights(identity.signature) if store else None
        self.progress = self.keeper.read()
        record.begin(self.tracker, cfg, self.dataset, self.folder, tags_of(identity))
        self.is_whole = not self.progress.epochs  # else its minutes are those of the rest alone
        if store and same and self.is_whole:
            self.progress.best_dice = record.take_weights(store, same, self.keeper.best)
            self.progress.fitted, self.is_whole = True, False

    def fit(self, extra: Mapping[str, keras.callbacks.Callback]) -> None:
        """Trains what is left; `extra` are callbacks beside the configured ones."""
        fit.fit(self.model, self.settings, self.dataset, self.keeper, self.progress, extra)

    def evaluate(self, score: ScoreSettings, title: str) -> dict[str, float]:
        """The run's figures; scores the network once, and keeps the figures with the state."""
        if self.progress.figures is None:
            self.progress.figures = self.scored(score, title)
            self.tracker.metrics({BEST_DICE: self.progress.best_dice, **self.progress.figures})
            self.keeper.write(self.progress)
        return self.progress.figures

    def scored(self, score: ScoreSettings, title: str) -> dict[str, float]:
        """The figures of the network, as `predict.*` and `score.*` say."""
        settings, predict = self.settings, self.settings.predict
        made = Blueprint(settings.model, predict.size, settings.process.precision)
        network = networks.in_precision(self.model, made, predict.precision)
        part = scoring.Part(networks.predictor(network, predict), self.dataset)
        facts = report_facts(predict, score)
        return scoring.score([part], self.folder / "evaluation", score, title, facts)

    def record(self) -> None:
        """Copies what the run left into the store."""
        record.mirror(self.tracker, self.folder)
        example = fit.input_example(self.dataset, self.settings.feed.size)
        self.tracker.model(self.keeper.best, example)
        if self.is_whole:
            self.tracker.tag({MINUTES: f"{(time.time() - self.started) / 60:.2f}"})

    def log_folder(self) -> None:
        """Logs where the run's figures and pictures are."""
        folder, tracker = self.folder, self.tracker
        log.info("\nRun folder     %s", folder)
        scored = [split for split in scoring.SCORED if len(self.dataset.split(split))]
        log.info("Pictures       %s", folder / "evaluation" / scored[-1] / "figures")
        if "test" not in scored:
            log.info("There is no test part: these are scores of valid, which chose the epoch.")
        if (folder / "epoch_change_infer").is_dir():
            log.info("Every epoch's  %s", folder / "epoch_change_infer")
        if store := tracker.store:
            words = address.store_words(store.uri, store.name)
            command = shlex.join(["flexunet", "ui", *words])
            log.info("All runs       %s   (%s)", command, store.uri)


def tags_of(identity: Identity) -> dict[str, str]:
    """The tags by which the store finds the run again."""
    return {SIGNATURE: identity.signature, SCORING: identity.scoring, EFFORT: identity.effort}
