"""The search: asks a study for settings, trains them, and records the outcomes in the study."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from flexunet_exp.runs.outcome import Outcome, read_outcome
from flexunet_exp.sweeps.parent_run import Multirun
from flexunet_exp.sweeps.search import finite, report, space, study
from flexunet_exp.sweeps.search.study import LEARNED, PRUNED, SAME_AS, Plan

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

Launch = Callable[..., Sequence[Any]]  # Hydra's launcher


def run(cfg: DictConfig, launch: Launch, words: Sequence[str], multirun: Multirun) -> float:
    """Searches until the study has all of its trials; returns the best objective.

    The report of the study then concludes the multirun.
    """
    plan = study.plan(cfg, GlobalHydra.instance().config_loader(), words)
    with study.alone(plan):
        known = study.opened(plan)
        log_progress(known, plan)
        number = 0
        for trials in batches(known, plan):
            jobs = [
                [*plan.constants, *space.words(t.params), trial_override(t, plan)] for t in trials
            ]
            returned = launch(jobs, initial_job_idx=number)
            for trial, job in zip(trials, returned, strict=True):
                record_outcome(known, trial, read_outcome(output_folder(job)))
            number += len(trials)
        multirun.conclude = partial(report.conclude, known, plan)
    return report.best_value(known)


def log_progress(known: optuna.Study, plan: Plan) -> None:
    ended = [trial for trial in finite.counted(known.trials) if trial.state.is_finished()]
    log.info(
        "Study %s in %s: %d of %d trials have ended.",
        plan.name,
        plan.storage,
        len(ended),
        finite.num_wanted(plan),
    )


def batches(known: optuna.Study, plan: Plan) -> Iterator[list[optuna.Trial]]:
    """Batches of at most n_jobs trials to train; trials that were cut off come first."""
    left = cut_off(known)
    while batch := next_batch(known, plan, left):
        to_train: list[optuna.Trial] = []
        for trial in batch:
            if any(trial.params == other.params for other in to_train):
                left.append(trial)  # it gets the result of the other one
            elif not settled(known, trial):
                to_train.append(trial)
        if to_train:
            yield to_train


def next_batch(known: optuna.Study, plan: Plan, left: list[optuna.Trial]) -> list[optuna.Trial]:
    batch: list[optuna.Trial] = []
    while len(batch) < plan.conf.n_jobs:
        if left:
            batch.append(left.pop(0))
        elif has_more(known.trials, plan):
            batch.append(finite.ask(known, plan))
        else:
            break
        study.fill(batch[-1], plan)
    return batch


def has_more(trials: Sequence[optuna.trial.FrozenTrial], plan: Plan) -> bool:
    """Whether the study may begin another trial."""
    is_short = len(finite.counted(trials)) < plan.conf.n_trials
    return is_short and not finite.is_exhausted(trials, plan)


def cut_off(known: optuna.Study) -> list[optuna.Trial]:
    """Trials that were cut off: none is being trained, because this process holds the lock."""
    import optuna

    running = [trial for trial in known.trials if trial.state.name == "RUNNING"]
    return [optuna.Trial(known, trial._trial_id) for trial in running]


def settled(known: optuna.Study, trial: optuna.Trial) -> bool:
    """Ends a trial in the study whose result is known without training; returns whether it is.

    It was pruned just before the process was killed, or an earlier trial had its parameters.
    """
    if PRUNED in trial.user_attrs:
        known.tell(trial, state=state("PRUNED"))
        return True
    twin = next((t for t in known.trials if is_twin(t, trial)), None)
    if twin is None:
        return False
    for step, value in twin.intermediate_values.items():
        if step not in known.trials[trial.number].intermediate_values:
            trial.report(value, step)
    for name, value in {**twin.user_attrs, SAME_AS: twin.number}.items():
        trial.set_user_attr(name, value)
    values = twin.value if twin.state.name == "COMPLETE" else None
    known.tell(trial, values, state=twin.state)
    log.info(
        "Trial %d has the parameters of trial %d, and gets its result.", trial.number, twin.number
    )
    return True


def is_twin(other: optuna.trial.FrozenTrial, trial: optuna.Trial) -> bool:
    return other.state.name in ("COMPLETE", "PRUNED") and other.params == trial.params


def state(name: str) -> optuna.trial.TrialState:
    from optuna.trial import TrialState

    return TrialState[name]


def trial_override(trial: optuna.Trial, plan: Plan) -> str:
    """The override that passes a trial's study, number and epochs to its job."""
    return f"tracking.trial={{study:{plan.name},number:{trial.number},epochs:{plan.epochs}}}"


def output_folder(returned: Any) -> Path:
    return Path(returned.hydra_cfg.hydra.runtime.output_dir)


def record_outcome(known: optuna.Study, trial: optuna.Trial, outcome: Outcome) -> None:
    """Records in the study how a trial's run ended."""
    trial.set_user_attr("folder", outcome.folder)
    trial.set_user_attr("minutes", outcome.minutes)
    trial.set_user_attr(LEARNED, outcome.learned)
    if outcome.status == "pruned":
        known.tell(trial, state=state("PRUNED"))
    elif outcome.status == "failed" or math.isnan(outcome.objective):
        trial.set_user_attr("error", outcome.error[:1000])
        known.tell(trial, state=state("FAIL"))
    else:
        known.tell(trial, outcome.objective)
