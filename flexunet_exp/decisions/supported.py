"""What sources can support where they cannot support a goal."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from flexunet_exp.decisions.choosing import Goals, Risks
from flexunet_exp.decisions.sequences import Losses


class Shortage(NamedTuple):
    """Where goals are not granted: the best that can be had, and what the goals would take.

    The goals take as many sources as `needed` says if these miss them as often as those at hand:
    0 of those without a goal, None where no number of sources helps at any threshold.
    """

    max_false_alarms: float | None
    max_missed: float | None
    good_needed: int | None  # sources of false alarms, in all
    defective_needed: int | None  # sources of misses, in all


def shortage(risks: Risks, goals: Goals) -> Shortage:
    """The best goals that the sources support, and the sources that the wanted goals would take."""
    alarm_goal, missed_goal = goals.max_false_alarms, goals.max_missed
    alarms = bounds_of(risks.false_alarms.reversed(), alarm_goal, goals.delta)[::-1]
    missed = bounds_of(risks.missed, missed_goal, goals.delta)
    at = int(np.argmin(np.maximum(alarms / (alarm_goal or 1), missed / (missed_goal or 1))))
    numbers = [needed_at(risks, goals, index) for index in range(risks.number)]
    reachable = [(g, d) for g, d in numbers if g is not None and d is not None]
    good, defective = min(reachable, key=sum) if reachable else (None, None)
    return Shortage(
        None if alarm_goal is None else rounded_up(alarms[at]),
        None if missed_goal is None else rounded_up(missed[at]),
        good,
        defective,
    )


def bounds_of(losses: Losses, goal: float | None, delta: float) -> np.ndarray:
    """The goals (T,) that the rules would get; 0 where there is no goal."""
    return np.zeros(losses.values.shape[1]) if goal is None else losses.upper_bounds(delta)


def needed_at(risks: Risks, goals: Goals, index: int) -> tuple[int | None, int | None]:
    """The sources that the goals take at a threshold; 0 where there is no goal."""
    wanted = (
        (risks.false_alarms, goals.max_false_alarms),
        (risks.missed, goals.max_missed),
    )
    good, defective = (
        0 if goal is None else losses.needed(index, goal, goals.delta) for losses, goal in wanted
    )
    return good, defective


def rounded_up(goal: float) -> float:
    """A goal with three decimals that is granted, too."""
    return math.ceil(goal * 1000 - 1e-6) / 1000
