"""flexunet train: compose → check → load → identify → skip or claim → fit → evaluate → record."""

from __future__ import annotations

import logging
import math
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import compose, validation
from flexunet_exp.config.identity import Identity
from flexunet_exp.evaluation.settings import ScoreSettings
from flexunet_exp.jobs import app, job, processes
from flexunet_exp.runs.outcome import Outcome
from flexunet_exp.sweeps import multirun
from flexunet_exp.system import tensorflow
from flexunet_exp.system.tensorflow import ProcessSettings
from flexunet_exp.tracking import provenance, record, uploads
from flexunet_exp.tracking.settings import TrackingSettings
from flexunet_exp.tracking.tracker import Tracker, tracked
from flexunet_exp.training import batch_size, finished, precision, resuming, starting
from flexunet_exp.training.settings import Request, TrainingSettings

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
#  1. Upload the outboxes of runs in this folder: steps 5 and 6 look for runs in the store.
#  2. Check the settings before any data are read. Keras's parts are checked in step 7: importing
#     Keras takes seconds, and a sweep of finished cells does not need it.
#  3. Load the data: their digest is a part of the run's identity.
#  4. Identify the run after batch_size=auto, precision=auto and init_from= are resolved: they
#     decide the weights too. The batch comes first: the precisions are timed with it.
#  5. Wait for another process that trains this run and is about to end. If it finishes the run,
#     step 6 skips it; if not, step 7 goes on with it.
#  6. Skip finished work before the claim: a claim marks a folder as unfinished.
#  7. Claim the run before anything is written: going on with one moves the job into its folder and
#     the tracker to its run in the store. Only then write config.yaml, samples.csv and
#     provenance.json.
#  8. Build the network before the run begins in the store: a network that cannot be built then
#     leaves no run there.
#  9. Fit, from the run's last state or from the beginning.
# 10. Evaluate, and keep the figures with the state: a run that is cut off in step 11 is not scored
#     again.
# 11. Record the run folder in the store. Only then check `require`, so that the files of a run
#     that fails are in the store. Register the model last: only that of a run that did not fail.
def experiment(cfg: DictConfig, home: job.Home) -> Outcome:
    """One experiment, from a composed configuration to a scored and tracked run."""
    name, tracking = record.run_name(cfg), TrackingSettings.from_config(cfg)
    with (
        tensorflow.forgetting_gradients(),
        TemporaryDirectory() as scratch,
        closing(Tracker(tracking, name, home.folder)) as tracker,
        resuming.ended_if_hopeless() as claims,
        tracked(tracker),
    ):
        uploads.upload_near(tracking.uri)
        check(cfg)
        dataset = load(cfg)
        cfg.trainer.batch_size = batch_size.resolve(cfg, dataset)
        cfg.trainer.precision = precision.resolve(TrainingSettings.from_config(cfg), dataset)
        settings, request = TrainingSettings.from_config(cfg), Request.from_config(cfg)
        start = starting.find(cfg, Path(scratch))
        digest = start.digest if start else ""
        identity = Identity.of(cfg, dataset.digest, settings.process.num_threads, digest)
        resuming.await_end(request.resume, identity.signature, home, tracker)
        if outcome := finished.skip(request, identity, tracker):
            return outcome
        claim = resuming.claim(request.resume, identity.signature, home, tracker)
        claims.append(claim)
        prepare(cfg, settings, dataset, home.folder)
        began = (start.source, start.digest) if start else None
        made_with = provenance.build(cfg, dataset, identity, settings.process.num_threads, began)
        provenance.write(made_with, home.folder)
        from flexunet_exp.sweeps.search import pruning  # both import Keras
        from flexunet_exp.training.attempt import Attempt

        attempt = Attempt(settings, dataset, claim, tracker, start)
        attempt.begin(cfg, identity, request)
        attempt.fit(pruning.callbacks(cfg))
        figures = attempt.evaluate(ScoreSettings.from_config(cfg), f"{dataset.name}: {name}")
        attempt.record()
        finished.require(request.require, attempt.progress.best_dice)
        if tracking.register:
            tracker.register(tracking.register, request.objective)
        attempt.log_end()
    objective = figures.get(request.objective, math.nan)
    outcome = Outcome("finished", name, objective, tracker.run_id, str(home.folder))
    outcome.learned, outcome.figures = attempt.progress.learned, record.overall(figures)
    return outcome


def check(cfg: DictConfig) -> None:
    """Raises InputError with every problem of the settings, and of the targets that load data."""
    validation.check_settings(cfg)
    validation.check_targets(cfg, ("dataset", "split", "augmentation"))


def load(cfg: DictConfig) -> Dataset:
    """The data set with its split; what was decided over it goes into the configuration."""
    from flexunet_exp.data import dataset as datasets

    dataset = datasets.load(cfg)
    datasets.keep_decisions(cfg, dataset)
    log.info("Data: %s\n%s\n", cfg.dataset.path, datasets.summary(dataset))
    return dataset


def prepare(cfg: DictConfig, settings: TrainingSettings, dataset: Dataset, folder: Path) -> None:
    """Prepares the process for the run, and writes config.yaml and samples.csv into `folder`."""
    from flexunet_exp.data import dataset as datasets

    tensorflow.prepare(settings.process)
    validation.check_targets(cfg, ("model", "loss", "optimizer", "schedule", "callbacks"))
    OmegaConf.save(OmegaConf.create(compose.plain(cfg)), folder / "config.yaml")
    datasets.write_table(dataset.table, folder / "samples.csv")
