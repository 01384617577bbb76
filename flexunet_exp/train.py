"""flexunet train: compose → fit → evaluate → track."""

from __future__ import annotations

import logging
import math
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from flexunet_exp import config, job, runs, runtime, sweep, validation
from flexunet_exp.errors import InputError
from flexunet_exp.tracking import SIGNATURE, Tracker, tracked

log = logging.getLogger(__name__)

BEST_DICE = "epoch/val/best_dice"


def main() -> int:
    """The command: one job, or with -m one for every cell of a sweep; 1 if any failed."""
    try:
        job.run_app("train", task)
    except KeyboardInterrupt:
        sweep.abandon("KILLED")
        raise
    except Exception:
        sweep.abandon("FAILED")
        raise
    return sweep.finish()


def task(cfg: DictConfig) -> float:
    return job.supervised(cfg, runs.run_name(cfg), experiment)


def experiment(cfg: DictConfig, folder: Path) -> job.Outcome:
    """One experiment, from a composed configuration to a scored and tracked run."""
    from flexunet_exp.data import dataset as datasets

    name = runs.run_name(cfg)
    with tracked(cfg, name) as tracker:
        validation.check_settings(cfg)
        validation.check_targets(cfg, ("dataset", "split", "augmentation"))
        dataset = datasets.load(cfg)
        log.info("Data: %s\n%s\n", cfg.dataset.path, datasets.summary(dataset))
        signature = config.signature(cfg, dataset.digest, runtime.num_threads(cfg.trainer))
        if tracker.store and (ended := tracker.store.ended(signature, cfg.rerun)):
            outcome = runs.skip(cfg, ended)
            require(cfg, ended.data.metrics.get(BEST_DICE, math.nan))
            return outcome
        runtime.prepare(cfg.trainer)
        validation.check_targets(cfg, ("model", "loss", "optimizer", "callbacks"))
        OmegaConf.save(OmegaConf.create(config.plain(cfg)), folder / "config.yaml")
        datasets.write_table(dataset.table, folder / "samples.csv")
        scores = fit_and_score(cfg, dataset, tracker, folder, signature)
        say_where(folder, tracker)
    objective = scores.get(cfg.objective, math.nan)
    return job.Outcome("finished", name, objective, tracker.run_id, str(folder))


def fit_and_score(cfg, dataset, tracker: Tracker, folder: Path, signature: str) -> dict[str, float]:
    from flexunet_exp import callbacks, evaluation, fitting

    model = fitting.compiled_model(cfg, dataset)
    description = fitting.describe(model, cfg)
    (folder / "model.txt").write_text(description)
    runs.begin(tracker, cfg, dataset, folder, {SIGNATURE: signature})
    best_dice = fitting.fit(model, cfg, dataset, tracker, folder)
    tracker.metrics({BEST_DICE: best_dice})
    scores = evaluation.score_splits(model, cfg, dataset, folder / "evaluation")
    tracker.metrics(scores)
    runs.mirror(tracker, folder)
    tracker.model(callbacks.without_optimizer(model), fitting.input_example(dataset, cfg))
    require(cfg, best_dice)
    return scores


def say_where(folder: Path, tracker: Tracker) -> None:
    """The last lines of a run: where its figures and pictures are."""
    log.info("\nRun folder     %s", folder)
    log.info("Pictures       %s", folder / "evaluation" / "test" / "figures")
    if (folder / "epoch_change_infer").is_dir():
        log.info("Every epoch's  %s", folder / "epoch_change_infer")
    if tracker.store:
        log.info("All runs       flexunet ui   (%s)", tracker.store.uri)


def require(cfg: DictConfig, reached: float) -> None:
    """Fails a run whose best val_dice, at training size, does not exceed `require`."""
    if cfg.require is not None and not reached > cfg.require:
        raise InputError(
            f"val_dice reached {reached:.4f} and must exceed {cfg.require}: if the network "
            "cannot even memorise these pictures, look at model, loss, learning rate and masks."
        )
