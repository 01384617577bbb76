"""Chooses a threshold by goals that hold with a confidence, or by what errors cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flexunet_exp.decisions.sequences import Losses


@dataclass(frozen=True)
class Risks:
    """The losses of the same sources under T thresholds, in ascending order."""

    false_alarms: Losses  # of good parts, or of all pictures; fewer at higher thresholds
    missed: Losses  # of parts with defects; fewer at lower thresholds

    @property
    def number(self) -> int:
        """The number of thresholds."""
        return self.missed.values.shape[1]


@dataclass(frozen=True)
class Goals:
    """What must hold with probability `confidence`; None for what is only kept as low as it goes.

    `shared` sets of goals hold together, such as those of several classes.
    """

    max_false_alarms: float | None
    max_missed: float | None
    confidence: float = 0.9
    shared: int = 1

    @property
    def wanted(self) -> tuple[float | None, float | None]:
        return self.max_false_alarms, self.max_missed

    @property
    def delta(self) -> float:
        """The level of each test: the goals share 1 - confidence (Bonferroni)."""
        number = sum(goal is not None for goal in self.wanted)
        return (1 - self.confidence) / (max(number, 1) * self.shared)


@dataclass(frozen=True)
class Costs:
    """What an error costs: to pass a defective part, or to stop a good one."""

    missed: float
    false_alarm: float
    defect_rate: float  # share of defective parts in production, 0..1

    def expected(self, risks: Risks) -> np.ndarray:
        """The expected cost of a part (T,) at each threshold."""
        good = (1 - self.defect_rate) * self.false_alarm * risks.false_alarms.means
        return good + self.defect_rate * self.missed * risks.missed.means

    def upper_bound(self, risks: Risks, index: int, confidence: float) -> float:
        """What the expected cost at a threshold chosen among T exceeds with 1 - `confidence`."""
        delta = (1 - confidence) / (2 * risks.number)
        alarms = risks.false_alarms.upper_bounds(delta)[index]
        missed = risks.missed.upper_bounds(delta)[index]
        good = (1 - self.defect_rate) * self.false_alarm * alarms
        return float(good + self.defect_rate * self.missed * missed)


def cheapest(risks: Risks, costs: Costs) -> int:
    """The threshold of the least expected cost, the middle one of several."""
    expected = costs.expected(risks)
    return middle(np.flatnonzero(np.isclose(expected, expected.min(), rtol=1e-9, atol=0)))


def granted(risks: Risks, goals: Goals) -> np.ndarray:
    """The thresholds, as indices in ascending order, at which all goals hold at once."""
    first, end = 0, risks.number
    if goals.max_false_alarms is not None:
        strict_first = risks.false_alarms.reversed()
        first = end - strict_first.holding(goals.max_false_alarms, goals.delta)
    if goals.max_missed is not None:
        end = risks.missed.holding(goals.max_missed, goals.delta)
    return np.arange(first, end)


def best(risks: Risks, goals: Goals, candidates: np.ndarray) -> int:
    """The best of these thresholds: least of what has no goal, else farthest from both goals.

    Of equal ones, the one that is farthest from the goal. Without a source of what has no goal, the
    boldest one, where it is least in general. `candidates` is not empty.
    """
    alarms, missed = (
        np.nan_to_num(losses.means)[candidates] for losses in (risks.false_alarms, risks.missed)
    )
    if goals.max_missed is None and not risks.missed.number:
        return int(candidates[0])
    if goals.max_false_alarms is None and not risks.false_alarms.number:
        return int(candidates[-1])
    if goals.max_missed is None:
        return int(candidates[np.flatnonzero(missed == missed.min())[-1]])
    if goals.max_false_alarms is None:
        return int(candidates[np.flatnonzero(alarms == alarms.min())[0]])
    nearness = alarms / goals.max_false_alarms + missed / goals.max_missed
    return middle(candidates[np.isclose(nearness, nearness.min())])


def middle(indices: np.ndarray) -> int:
    return int(indices[len(indices) // 2])
