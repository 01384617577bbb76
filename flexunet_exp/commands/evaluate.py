"""flexunet evaluate: scores finished runs again, from the runs alone, or on other pictures."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from flexunet_exp.config import validation
from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app, job
from flexunet_exp.runs import outcome
from flexunet_exp.runs.folder import TEMPERATURES
from flexunet_exp.tracking import find_runs, record
from flexunet_exp.tracking.settings import TrackingSettings

if TYPE_CHECKING:
    from flexunet_exp.decisions.file import Decision
    from flexunet_exp.evaluation.scoring import Part
    from flexunet_exp.evaluation.settings import ScoreSettings
    from flexunet_exp.prediction.settings import PredictSettings
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
    if problems := validation.own_problems(cfg, "evaluate"):
        raise InputError(problems)
    found = find_runs.find_all(cfg, home.folder)
    for run in found:
        log.info("Run: %s", run.folder)
    validation.check_objective(cfg.objective, found[0].cfg)
    from flexunet_exp.prediction import networks

    networks.check_classes(found)
    networks.prepare_process(found[0])
    from flexunet_exp.evaluation import calibrating, other_data, scoring
    from flexunet_exp.evaluation.settings import ScoreSettings
    from flexunet_exp.prediction import deciding
    from flexunet_exp.prediction.settings import PredictSettings
    from flexunet_exp.prediction.uncertainty import ENDS, NONE

    tracking = TrackingSettings.from_config(cfg)
    if PredictSettings.from_config(found[0].cfg, cfg.predict).calibrated:
        fitted = calibrating.fit_missing(found, cfg.predict)
        record.add_files(tracking, fitted, TEMPERATURES)
    decision = deciding.named(cfg.decision, found, cfg.predict)
    options = deciding.options(decision, cfg.predict)
    predict = PredictSettings.from_config(found[0].cfg, options)
    score = ScoreSettings.from_config(found[0].cfg, cfg.score)
    facts = describe(found, predict, score)
    if decision is not None:
        facts["decision"] = decision.describe()
        log.info("Decision: %s", decision.describe())
    if cfg.uncertainty != NONE:
        facts["uncertainty"] = (
            f"{cfg.uncertainty}, from 0 (black) over purple and orange to "
            f"{ENDS[cfg.uncertainty]:g} (yellow)"
        )
    groups, splits, parts = scored(cfg, found, options, facts)
    title = title_of(found[0], groups)
    is_whole_run = len(found) == 1 and not other_data.is_given(cfg)
    folder = home.folder / "evaluation"
    figures = scoring.score(
        parts, folder, score, title, facts, splits, is_whole_run, decision, cfg.uncertainty
    )
    if decision is not None:
        log_stopped(decision, folder, splits)
    elif is_whole_run:
        scoring.compare_with_stored(found[0].folder / "evaluation", figures)
    log.info("\nReport: %s", folder / "report.html")
    record.add_evaluation(tracking, found, folder, figures)
    objective = figures.get(cfg.objective, math.nan)
    return outcome.Outcome("finished", "evaluate", objective, found[0].run_id, str(home.folder))


def scored(
    cfg: DictConfig, found: list[FinishedRun], options: dict[str, Any], facts: dict[str, str]
) -> tuple[list[list[FinishedRun]], dict[str, str], Iterator[Part]]:
    """The runs in groups that predict together, the splits that are scored, and each group's part.

    `options` replace `predict.*` of the runs. Adds what limits the scores to `facts`.
    """
    from flexunet_exp.evaluation import folds, other_data, scoring
    from flexunet_exp.evaluation.parts import own_parts

    if other_data.is_given(cfg):
        part = other_data.part(cfg, found, options, facts)
        return [found], {cfg.dataset.name: cfg.dataset.name}, iter([part])
    groups = folds.groups(found, cfg.ensemble)
    splits = dict(scoring.SCORED)
    if not folds.has_valid(groups):
        del splits["valid"]
    if lacking := folds.missing_folds(found):
        facts["warning"] = lacking
        log.warning("Scored %s.", lacking)
    return groups, splits, own_parts(groups, options)


def log_stopped(decision: Decision, folder: Path, splits: Iterable[str]) -> None:
    """Logs how many parts of each split the decision stops."""
    from flexunet_exp.decisions import levels
    from flexunet_exp.scores import region_record

    for split in splits:
        path = folder / split / region_record.REGIONS
        if not path.is_file():
            continue
        record = region_record.load(path)
        stopped = levels.stopped_by(record, decision.rule)[:, None]
        risks = levels.part_risks(record, stopped)
        alarms, missed = risks.false_alarms, risks.missed
        log.info(
            "%s: %d of %d good parts stopped, %d of %d defective parts passed.",
            split,
            *(round(float(alarms.totals[0])), alarms.number),
            *(round(float(missed.totals[0])), missed.number),
        )


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


def describe(
    found: list[FinishedRun], predict: PredictSettings, score: ScoreSettings
) -> dict[str, str]:
    """The facts below the report's title: label → text."""
    from flexunet_exp.evaluation.settings import report_facts

    runs_named = {"runs": ", ".join(str(run.folder) for run in found)}
    return runs_named | report_facts(predict, score)
