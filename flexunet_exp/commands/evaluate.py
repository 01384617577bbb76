"""flexunet evaluate: scores finished runs again, from the runs alone, or on other pictures."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from flexunet_exp.config import validation
from flexunet_exp.jobs import app, job
from flexunet_exp.runs import outcome
from flexunet_exp.tracking import find_runs, record
from flexunet_exp.tracking.settings import TrackingSettings

if TYPE_CHECKING:
    from flexunet_exp.evaluation.settings import ScoreSettings
    from flexunet_exp.runs.folder import FinishedRun

log = logging.getLogger(__name__)


def main() -> int:
    """The command."""
    app.run_app("evaluate", task)
    return job.exit_status()


def task(cfg: DictConfig) -> float:
    return job.supervised(cfg, "evaluate", score_again)


def score_again(cfg: DictConfig, home: job.Home) -> outcome.Outcome:
    """Loads finished runs and scores them into this command's own folder."""
    validation.check_sections(cfg, ("predict", "score"))
    found = find_runs.find_all(cfg, home.folder)
    for run in found:
        log.info("Run: %s", run.folder)
    validation.check_objective(cfg.objective, found[0].cfg)
    from flexunet_exp.prediction import networks

    networks.check_classes(found)
    networks.prepare_process(found[0])
    from flexunet_exp.evaluation import folds, other_data, scoring
    from flexunet_exp.evaluation.parts import own_parts
    from flexunet_exp.evaluation.settings import ScoreSettings

    score = ScoreSettings.from_config(found[0].cfg, cfg.score)
    facts = describe(cfg, found, score)
    if other_data.is_given(cfg):
        groups, splits = [found], {cfg.dataset.name: cfg.dataset.name}
        parts = iter([other_data.part(cfg, found, facts)])
    else:
        groups = folds.groups(found, cfg.ensemble)
        splits = dict(scoring.SCORED)
        if not folds.has_valid(groups):
            del splits["valid"]
        parts = own_parts(groups, cfg.predict)
        if lacking := folds.missing_folds(found):
            facts["warning"] = lacking
            log.warning("Scored %s.", lacking)
    title = title_of(found[0], groups)
    figures = scoring.score(parts, home.folder / "evaluation", score, title, facts, splits)
    if len(found) == 1 and not other_data.is_given(cfg):
        scoring.compare_with_stored(found[0].folder / "evaluation", figures)
    log.info("\nReport: %s", home.folder / "evaluation" / "report.html")
    tracking = TrackingSettings.from_config(cfg)
    record.add_evaluation(tracking, found, home.folder / "evaluation", figures)
    objective = figures.get(cfg.objective, math.nan)
    return outcome.Outcome("finished", "evaluate", objective, found[0].run_id, str(home.folder))


def title_of(run: FinishedRun, groups: list[list[FinishedRun]]) -> str:
    together = max(map(len, groups))
    if len(groups) > 1:
        what = f"{len(groups)} folds pooled out-of-fold"
        what += f", up to {together} runs each as an ensemble" if together > 1 else ""
    elif together > 1:
        what = f"{together} runs as an ensemble"
    else:
        what = outcome.read_outcome(run.folder).name
    return f"{run.cfg.dataset.name}: {what}"


def describe(cfg: DictConfig, found: list[FinishedRun], score: ScoreSettings) -> dict[str, str]:
    """The facts below the report's title: label → text."""
    from flexunet_exp.evaluation.settings import report_facts
    from flexunet_exp.prediction.settings import PredictSettings

    settings = PredictSettings.from_config(found[0].cfg, cfg.predict)
    runs_named = {"runs": ", ".join(str(run.folder) for run in found)}
    return runs_named | report_facts(settings, score)
