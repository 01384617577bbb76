"""flexunet train: compose → fit → evaluate → track."""

from __future__ import annotations

import logging
import math
import shlex
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from flexunet_exp.config import compose, identity, validation
from flexunet_exp.errors import Hopeless
from flexunet_exp.jobs import app, job, processes
from flexunet_exp.runs.claims import Claim
from flexunet_exp.runs.outcome import Outcome
from flexunet_exp.sweeps import multirun
from flexunet_exp.system import tensorflow
from flexunet_exp.tracking import address, record, uploads
from flexunet_exp.tracking.record import BEST_DICE
from flexunet_exp.tracking.store import EFFORT, MINUTES, SCORING, SIGNATURE, Store
from flexunet_exp.tracking.tracker import Tracker, tracked
from flexunet_exp.training import precision, resuming

if TYPE_CHECKING:
    from flexunet_exp.data.dataset import Dataset

log = logging.getLogger(__name__)


def main() -> int:
    """The command: one job, or with -m one for every cell of a sweep; 1 if any failed."""
    try:
        app.run_app("train", task)
        return multirun.finish()
    except KeyboardInterrupt:
        multirun.abandon("KILLED")
        raise
    except Exception:
        multirun.abandon("FAILED")
        raise


def task(cfg: DictConfig) -> float:
    if tensorflow.needs_own_process(cfg.trainer):
        return processes.in_own_process(task, cfg)
    return job.supervised(cfg, record.run_name(cfg), experiment, goes_on=True)


def experiment(cfg: DictConfig, home: job.Home) -> Outcome:
    """One experiment, from a composed configuration to a scored and tracked run."""
    from flexunet_exp.data import dataset as datasets

    name = record.run_name(cfg)
    with (
        closing(Tracker(cfg, name, home.folder)) as tracker,
        resuming.ended_if_hopeless() as claims,
        tracked(tracker),
    ):
        uploads.upload_near(cfg.tracking.uri)
        validation.check_settings(cfg)
        validation.check_targets(cfg, ("dataset", "split", "augmentation"))
        dataset = datasets.load(cfg)
        log.info("Data: %s\n%s\n", cfg.dataset.path, datasets.summary(dataset))
        precision.resolve(cfg, dataset)
        signature = identity.signature(cfg, dataset.digest, tensorflow.num_threads(cfg.trainer))
        scoring = identity.scoring_signature(cfg)
        resuming.await_end(cfg, signature, home, tracker)
        if tracker.store and (ended := tracker.store.ended(signature, scoring, cfg.rerun)):
            outcome = record.skip(cfg, ended)
            if parent := cfg.tracking.parent_run_id:
                tracker.store.note_skipped(parent, ended.info.run_id)
            require(cfg, ended.data.metrics.get(BEST_DICE, math.nan))
            if outcome.status == "skipped":
                resuming.forget(outcome, signature)
                register(cfg, tracker.store, ended.info.run_id, Path(outcome.folder))
            return outcome
        claims.append(resuming.claim(cfg, signature, home, tracker))
        tensorflow.prepare(cfg.trainer)
        validation.check_targets(cfg, ("model", "loss", "optimizer", "schedule", "callbacks"))
        OmegaConf.save(OmegaConf.create(compose.plain(cfg)), home.folder / "config.yaml")
        datasets.write_table(dataset.table, home.folder / "samples.csv")
        scores = fit_and_score(cfg, dataset, tracker, claims[0], (signature, scoring))
        say_where(home.folder, tracker)
    objective = scores.get(cfg.objective, math.nan)
    return Outcome("finished", name, objective, tracker.run_id, str(home.folder))


def fit_and_score(
    cfg: DictConfig,
    dataset: Dataset,
    tracker: Tracker,
    claim: Claim,
    signatures: tuple[str, str],
) -> dict[str, float]:
    """Trains, scores and stores the run, from wherever it stands."""
    from flexunet_exp.sweeps.search import pruning
    from flexunet_exp.training import fit, state

    folder, started = claim.run_folder, time.time()
    model = fit.compiled_model(cfg, dataset)
    (folder / "model.txt").write_text(fit.describe(model, cfg))
    tags = dict(zip((SIGNATURE, SCORING), signatures, strict=True))
    store = tracker.store if cfg.rerun != "all" else None
    same = store.same_weights(signatures[0]) if store else None  # before the run begins
    keeper = state.Keeper(claim.folder, tracker)
    progress = keeper.read()
    record.begin(tracker, cfg, dataset, folder, {**tags, EFFORT: identity.effort(cfg)})
    is_whole = not progress.epochs  # else its minutes are those of what was left
    if store and same and is_whole:
        progress.best_dice = record.take_weights(store, same, keeper.best)
        progress.fitted, is_whole = True, False
    fit.fit(model, cfg, dataset, keeper, progress, pruning.callbacks(cfg))
    if progress.figures is None:
        progress.figures = score(cfg, dataset, model, folder)
        tracker.metrics({BEST_DICE: progress.best_dice, **progress.figures})
        keeper.write(progress)
    record.mirror(tracker, folder)
    tracker.model(keeper.best, fit.input_example(dataset, cfg))
    if is_whole:
        tracker.tag({MINUTES: f"{(time.time() - started) / 60:.2f}"})
    require(cfg, progress.best_dice)
    if name := cfg.tracking.get("register"):
        tracker.register(name, cfg.objective)
    return progress.figures


def register(cfg: DictConfig, store: Store, run_id: str, folder: Path) -> None:
    """Makes a finished run's model a version of `tracking.register`, if there is to be one."""
    if name := cfg.tracking.get("register"):
        from flexunet_exp.tracking import registry

        registry.register(store, run_id, folder, name, cfg.objective)


def score(cfg: DictConfig, dataset: Dataset, model: Any, folder: Path) -> dict[str, float]:
    """The figures of the trained network, as `predict.*` and `score.*` say."""
    from flexunet_exp.evaluation import scoring as evaluation
    from flexunet_exp.prediction import networks
    from flexunet_exp.prediction.settings import predict_settings, report_facts, settings_of

    settings = predict_settings(cfg)
    network = networks.in_precision(model, cfg, settings["precision"])
    part = evaluation.Part(networks.predictor(network, cfg, settings), dataset)
    title = f"{dataset.name}: {record.run_name(cfg)}"
    score = OmegaConf.create(settings_of("score", cfg))
    facts = report_facts(settings, compose.image_size(cfg), score)
    return evaluation.score([part], folder / "evaluation", score, title, facts)


def say_where(folder: Path, tracker: Tracker) -> None:
    """The last lines of a run: where its figures and pictures are."""
    log.info("\nRun folder     %s", folder)
    log.info("Pictures       %s", folder / "evaluation" / "test" / "figures")
    if (folder / "epoch_change_infer").is_dir():
        log.info("Every epoch's  %s", folder / "epoch_change_infer")
    if tracker.store:
        command = shlex.join(["flexunet", "ui", *address.store_words(tracker.cfg)])
        log.info("All runs       %s   (%s)", command, tracker.store.uri)


def require(cfg: DictConfig, reached: float) -> None:
    """Fails a run whose best val_dice, at training size, does not exceed `require`."""
    if cfg.require is not None and not reached > cfg.require:
        raise Hopeless(
            f"val_dice reached {reached:.4f} and must exceed {cfg.require}: if the network "
            "cannot even memorise these pictures, look at model, loss, learning rate and masks."
        )
