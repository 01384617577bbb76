"""flexunet decide: chooses which parts to stop, by goals with a confidence or by costs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from flexunet_exp.commands.decide import settings
from flexunet_exp.config.overrides import shell
from flexunet_exp.jobs import app, job
from flexunet_exp.runs import outcome
from flexunet_exp.tracking import find_runs, record
from flexunet_exp.tracking.address import store_words
from flexunet_exp.tracking.settings import TrackingSettings

if TYPE_CHECKING:
    from flexunet_exp.commands.decide.evidence import Evidence
    from flexunet_exp.decisions.file import Decision
    from flexunet_exp.decisions.question import Question
    from flexunet_exp.decisions.rules import Rule
    from flexunet_exp.runs.folder import FinishedRun

log = logging.getLogger(__name__)


def main() -> int:
    """The command."""
    app.run_app("decide", task)
    return job.exit_status()


def task(cfg: DictConfig) -> float:
    return job.supervised(cfg, "decide", decide)


def decide(cfg: DictConfig, home: job.Home) -> outcome.Outcome:
    """Chooses a rule, keeps it in the run folder and the store, and shows what to expect of it."""
    settings.check(cfg)
    with TemporaryDirectory() as scratch:
        runs = find_runs.find_all(cfg, Path(scratch))
        from flexunet_exp.commands.decide import evidence, page, terminal
        from flexunet_exp.decisions import file, question
        from flexunet_exp.prediction.settings import PredictSettings
        from flexunet_exp.reporting import decision_warnings, origin

        file.check_free(cfg.name, [run.folder for run in runs], cfg.overwrite)
        asked = question_of(cfg, runs[0])
        is_calibrated = PredictSettings.from_config(runs[0].cfg, cfg.predict).calibrated
        found = evidence.of_runs(runs, is_calibrated)
        rule = question.answer(asked, found.chosen_on, found.learnt_on)
        predict = predicted_with(runs, is_calibrated)
        decision = decision_of(cfg, runs, predict, asked, found, rule)
        (results := home.folder / "decide").mkdir()
        page.write(results, decision, asked, found, rule, origin.facts("decide", runs))
        terminal.show(decision)
        for sentence in decision_warnings.warnings(decision):
            log.warning(sentence)
        for run in runs:
            file.keep(decision, run.folder)
            if not run.folder.is_relative_to(scratch):  # else the store has it
                log.info("Kept in        %s", run.folder / file.DECISIONS)
        log.info("Page           %s", results / page.PAGE)
        tracking = TrackingSettings.from_config(cfg)
        where = store_words(tracking.uri, tracking.experiment_name)
        words = [f"run={origin.typed_run(runs)}", f"decision={decision.name}", *where]
        log.info("Apply it       %s …", shell(["flexunet", "infer", *words]))
        record.add_results(tracking, runs, results, "decide", [file.DECISIONS])
    return outcome.Outcome("finished", "decide", folder=str(home.folder))


def question_of(cfg: DictConfig, run: FinishedRun) -> Question:
    """What the settings ask, for the classes of a run."""
    from flexunet_exp.decisions.choosing import Costs, Goals
    from flexunet_exp.decisions.question import Question
    from flexunet_exp.evaluation.settings import ScoreSettings

    shared = len(run.cfg.dataset.classes) - 1 if cfg.by == "class" else 1
    goals = Goals(cfg.max_false_alarms, cfg.max_missed, cfg.confidence, shared)
    costs = None
    if cfg.cost_missed is not None:
        costs = Costs(cfg.cost_missed, cfg.cost_false_alarm, cfg.defect_rate)
    overlap = ScoreSettings.from_config(run.cfg).object_overlap
    return Question(cfg.level, cfg.by, goals, costs, overlap)


def predicted_with(runs: Sequence[FinishedRun], is_calibrated: bool) -> dict[str, Any]:
    """The settings of the predictions that a decision is chosen on, as it keeps them."""
    from flexunet_exp.decisions import file
    from flexunet_exp.prediction import calibration
    from flexunet_exp.prediction.settings import PredictSettings

    settings = PredictSettings.from_config(runs[0].cfg).decisive()
    return settings | ({file.CALIBRATED: calibration.digest(runs)} if is_calibrated else {})


def decision_of(
    cfg: DictConfig,
    runs: Sequence[FinishedRun],
    predict: dict[str, Any],
    asked: Question,
    found: Evidence,
    rule: Rule,
) -> Decision:
    """What is kept of a decision; `predict` are the settings of the predictions."""
    from flexunet_exp.decisions import file, prices, question
    from flexunet_exp.models.weights_digest import weights_digest

    chosen_on = found.chosen_on
    wanted = settings.given(cfg, (*settings.GOALS, *settings.COSTS, "confidence"))
    data = {
        "part": found.part,
        "digest": found.digest,
        "pictures": len(chosen_on.names),
        "sources": len(set(chosen_on.sources.tolist())),
    }

    def listed(figures: question.Figures) -> dict[str, dict[str, list[float]]]:
        return {
            group: {
                name: [*(round(float(one), 6) for one in figure[:3]), figure.sources]
                for name, figure in of.items()
            }
            for group, of in figures.items()
        }

    return file.Decision(
        cfg.name,
        found.kind,
        asked.level,
        asked.by,
        wanted,
        file.values_of(rule),
        sorted(weights_digest(run.network) for run in runs),
        predict,
        data,
        asked.overlap,
        listed(question.figures(asked, chosen_on, rule)),
        listed(question.figures(asked, found.test, rule)) if found.test is not None else {},
        [round(one, 6) for one in question.cost(asked, chosen_on, rule)],
        prices.prices(asked, chosen_on, next(iter(rule.of_class.values()))),
    )
