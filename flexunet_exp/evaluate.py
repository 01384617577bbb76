"""flexunet evaluate: scores a finished run again, from the run alone."""

from __future__ import annotations

import logging
import math

from omegaconf import DictConfig

from flexunet_exp import job, runs, runtime, validation
from flexunet_exp.errors import InputError

log = logging.getLogger(__name__)


def main() -> int:
    """The command."""
    job.run_app("evaluate", task)
    return job.exit_status()


def task(cfg: DictConfig) -> float:
    return job.supervised(cfg, "evaluate", score_again)


def score_again(cfg: DictConfig, home: job.Home) -> job.Outcome:
    """Loads a finished run and scores it into this command's own folder."""
    folder = home.folder
    run = runs.find(cfg, folder)
    log.info("Run: %s", run.folder)
    validation.check_settings(run.cfg)
    validation.check_targets(run.cfg, ("dataset",))
    if runtime.needs_own_process(run.cfg.trainer):
        raise InputError(
            "This run has other threads or determinism than the one before it in this process, "
            "which TensorFlow cannot change. Evaluate them one at a time."
        )
    runtime.prepare(run.cfg.trainer)
    import keras

    from flexunet_exp import evaluation
    from flexunet_exp.data import dataset as datasets

    dataset = datasets.from_table(run.cfg, datasets.read_table(run.folder / "samples.csv"))
    datasets.check_unchanged(dataset)
    model = keras.saving.load_model(run.folder / "best.keras", compile=False)
    figures = evaluation.score_splits(model, run.cfg, dataset, folder / "evaluation")
    evaluation.compare_with_stored(run.folder / "evaluation", figures)
    log.info("Evaluation folder: %s", folder)
    objective = figures.get(cfg.objective, math.nan)
    return job.Outcome("finished", "evaluate", objective, run.run_id, str(folder))
