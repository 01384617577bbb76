"""flexunet train: compose → check → load → identify → skip or claim → fit → evaluate → record."""

from __future__ import annotations

import logging
import math
import shlex
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import compose, validation
from flexunet_exp.config.identity import Identity
from flexunet_exp.jobs import app, job, processes
from flexunet_exp.runs.claims import Claim
from flexunet_exp.runs.outcome import Outcome
from flexunet_exp.sweeps import multirun
from flexunet_exp.system import tensorflow
from flexunet_exp.system.tensorflow import ProcessSettings
from flexunet_exp.tracking import address, record, uploads
from flexunet_exp.tracking.record import BEST_DICE
from flexunet_exp.tracking.store import EFFORT, MINUTES, SCORING, SIGNATURE
from flexunet_exp.tracking.tracker import Tracker, tracked
from flexunet_exp.training import finished, precision, resuming
from flexunet_exp.training.settings import TrainingSettings

if TYPE_CHECKING:
    from flexunet_exp.data.dataset import Dataset

log = logging.getLogger(__name__)


def main() -> int:
    """The command: one job, or with -m one for every cell of a sweep; 1 if any failed."""
    with multirun.command() as command:
        app.run_app("train", task)
        return command.finish()


def task(cfg: DictConfig) -> float:
    # Settings are not checked yet: the first run of a process reads none of them here.
    if tensorflow.FIXED and tensorflow.needs_own_process(ProcessSettings.from_config(cfg)):
        return processes.in_own_process(task, cfg)
    return job.supervised(cfg, record.run_name(cfg), experiment, goes_on=True)


# The order of the steps is important.
#
#  1. Send what runs near here kept for the store while it was away: steps 5 and 6 ask the store.
#  2. Check the settings before any data are read. Keras's parts wait for step 7: importing Keras
#     takes seconds, and a sweep of finished cells needs none of it.
#  3. Load the data: their digest is a part of the run's identity.
#  4. Identify the run, once `auto` is a precision: that too decides the weights.
#  5. Await a process that trains this very run and is about to end, before the store is asked:
#     what it finishes is skipped, what it leaves is gone on with.
#  6. Skip finished work before the claim: a claim marks a folder as unfinished.
#  7. Claim the run before anything is written: going on with one moves the job into its folder and
#     the tracker to its run in the store. Only then write down what the run is made from.
#  8. Build the network before the run begins in the store: one that cannot be built leaves no run
#     there. For the same reason look for equal weights before; and read the state before, for it
#     puts the journal back to where it was written, and what the beginning adds comes after.
#  9. Fit, from wherever the run stands.
# 10. Evaluate once, and keep the figures with the state: a run that is cut off in step 11 is not
#     scored again.
# 11. Record what the run folder holds. `require` comes after, so that a run that fails it can be
#     looked at, and before the model is registered.
def experiment(cfg: DictConfig, home: job.Home) -> Outcome:
    """One experiment, from a composed configuration to a scored and tracked run."""
    name = record.run_name(cfg)
    with (
        closing(Tracker(cfg, name, home.folder)) as tracker,
        resuming.ended_if_hopeless() as claims,
        tracked(tracker),
    ):
        uploads.upload_near(cfg.tracking.uri)
        dataset = checked_data(cfg)
        cfg.trainer.precision = precision.resolve(TrainingSettings.from_config(cfg), dataset)
        settings = TrainingSettings.from_config(cfg)
        identity = Identity.of(cfg, dataset.digest, settings.process.num_threads)
        resuming.await_end(cfg.trainer.resume, identity.signature, home, tracker)
        if outcome := finished.skip(cfg, identity, tracker):
            return outcome
        claim = resuming.claim(cfg.trainer.resume, identity.signature, home, tracker)
        claims.append(claim)
        prepare(cfg, dataset, home.folder)
        figures = fit_and_score(cfg, settings, dataset, identity, claim, tracker)
        say_where(home.folder, tracker)
    objective = figures.get(cfg.objective, math.nan)
    return Outcome("finished", name, objective, tracker.run_id, str(home.folder))


def checked_data(cfg: DictConfig) -> Dataset:
    """The data set with its split, once the settings are found to be right."""
    from flexunet_exp.data import dataset as datasets

    validation.check_settings(cfg)
    validation.check_targets(cfg, ("dataset", "split", "augmentation"))
    dataset = datasets.load(cfg)
    log.info("Data: %s\n%s\n", cfg.dataset.path, datasets.summary(dataset))
    return dataset


def prepare(cfg: DictConfig, dataset: Dataset, folder: Path) -> None:
    """Sets the process up for the run, and writes down what it is made from."""
    from flexunet_exp.data import dataset as datasets

    tensorflow.prepare(ProcessSettings.from_config(cfg))
    validation.check_targets(cfg, ("model", "loss", "optimizer", "schedule", "callbacks"))
    OmegaConf.save(OmegaConf.create(compose.plain(cfg)), folder / "config.yaml")
    datasets.write_table(dataset.table, folder / "samples.csv")


def fit_and_score(
    cfg: DictConfig,
    settings: TrainingSettings,
    dataset: Dataset,
    identity: Identity,
    claim: Claim,
    tracker: Tracker,
) -> dict[str, float]:
    """Trains, scores and stores the run, from wherever it stands; its figures."""
    from flexunet_exp.sweeps.search import pruning
    from flexunet_exp.training import fit, state

    folder, started = claim.run_folder, time.time()
    model = fit.compiled_model(settings, dataset)
    (folder / "model.txt").write_text(fit.describe(model, settings.feed.size))
    store = tracker.store if cfg.rerun != "all" else None
    same = store.same_weights(identity.signature) if store else None
    keeper = state.Keeper(claim.folder, tracker)
    progress = keeper.read()
    record.begin(tracker, cfg, dataset, folder, tags_of(identity))
    is_whole = not progress.epochs  # else its minutes are those of what was left
    if store and same and is_whole:
        progress.best_dice = record.take_weights(store, same, keeper.best)
        progress.fitted, is_whole = True, False
    fit.fit(model, settings, dataset, keeper, progress, pruning.callbacks(cfg))
    if progress.figures is None:
        progress.figures = evaluate(cfg, dataset, model, folder / "evaluation")
        tracker.metrics({BEST_DICE: progress.best_dice, **progress.figures})
        keeper.write(progress)
    record.mirror(tracker, folder)
    tracker.model(keeper.best, fit.input_example(dataset, settings.feed.size))
    if is_whole:
        tracker.tag({MINUTES: f"{(time.time() - started) / 60:.2f}"})
    finished.require(cfg.require, progress.best_dice)
    if name := cfg.tracking.get("register"):
        tracker.register(name, cfg.objective)
    return progress.figures


def evaluate(cfg: DictConfig, dataset: Dataset, model: Any, folder: Path) -> dict[str, float]:
    """The figures of the trained network, as `predict.*` and `score.*` say."""
    from flexunet_exp.evaluation import scoring
    from flexunet_exp.evaluation.settings import ScoreSettings, report_facts
    from flexunet_exp.prediction import networks
    from flexunet_exp.prediction.settings import PredictSettings

    predict, score = PredictSettings.from_config(cfg), ScoreSettings.from_config(cfg)
    made = networks.Blueprint.from_config(cfg)
    network = networks.in_precision(model, made, predict.precision)
    part = scoring.Part(networks.predictor(network, predict), dataset)
    title = f"{dataset.name}: {record.run_name(cfg)}"
    return scoring.score([part], folder, score, title, report_facts(predict, score))


def tags_of(identity: Identity) -> dict[str, str]:
    """By what the store finds the run again."""
    return {SIGNATURE: identity.signature, SCORING: identity.scoring, EFFORT: identity.effort}


def say_where(folder: Path, tracker: Tracker) -> None:
    """Logs where the run's figures and pictures are."""
    log.info("\nRun folder     %s", folder)
    log.info("Pictures       %s", folder / "evaluation" / "test" / "figures")
    if (folder / "epoch_change_infer").is_dir():
        log.info("Every epoch's  %s", folder / "epoch_change_infer")
    if tracker.store:
        command = shlex.join(["flexunet", "ui", *address.store_words(tracker.cfg)])
        log.info("All runs       %s   (%s)", command, tracker.store.uri)
