"""A study over a finite space: how much of it is done, and what to try after a repeat."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flexunet_exp.sweeps.search import space
from flexunet_exp.sweeps.search.study import SAME_AS, Plan

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial


def begun(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state.name != "WAITING"]


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that use up `n_trials`: all that have begun, without repeats of an earlier one."""
    return [trial for trial in begun(trials) if SAME_AS not in trial.user_attrs]


def num_wanted(plan: Plan) -> int:
    """How many trials the study has in the end: no more than there are combinations."""
    size = space.size(plan.space)
    return plan.conf.n_trials if size is None else min(plan.conf.n_trials, size)


def tried(trials: Sequence[FrozenTrial], plan: Plan) -> set[tuple[Any, ...]]:
    """The combinations that trials have had, as the values in the order of the space."""
    whole = [trial.params for trial in begun(trials) if set(trial.params) >= set(plan.space)]
    return {tuple(params[key] for key in plan.space) for params in whole}


def is_exhausted(trials: Sequence[FrozenTrial], plan: Plan) -> bool:
    """Whether every combination has been tried; never in an infinite space."""
    return len(tried(trials, plan)) == space.size(plan.space)


def ask(known: optuna.Study, plan: Plan) -> optuna.Trial:
    """A new trial. In a finite space, one after a repeat gets a combination not tried yet.

    Else a sampler that is sure of its best combinations would draw them again and again.
    """
    trials = known.trials
    is_repeat = bool(trials) and SAME_AS in trials[-1].user_attrs
    if is_repeat and space.size(plan.space) is not None:
        known.enqueue_trial(untried(trials, plan))
    return known.ask()


def untried(trials: Sequence[FrozenTrial], plan: Plan) -> dict[str, Any]:
    """A combination not tried yet, drawn from the seed and the number of the trial."""
    size, done = space.size(plan.space), tried(trials, plan)
    assert size is not None and len(done) < size
    text = f"{plan.conf.seed}:{len(trials)}"
    start = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % size
    found = (space.combination(plan.space, (start + step) % size) for step in range(size))
    return next(one for one in found if tuple(one.values()) not in done)
