"""Learns the least area and mean probability of regions that count, on validation pictures.

They are learnt on other pictures than the thresholds: the sequence of rules that is tested must not
depend on the losses that test it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flexunet_exp.decisions.choosing import Costs, Goals, Risks
from flexunet_exp.decisions.rules import Shape

AREAS = (1, 4, 16, 64, 256, 1024)  # pixels
PROBABILITIES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)


def learnt(risks_of: Callable[[Shape], Risks], goals: Goals, costs: Costs | None) -> Shape:
    """The shape with the best threshold, without regard to chance; of equal ones, the simplest."""
    shapes = [Shape(area, mean) for mean in PROBABILITIES for area in AREAS]
    return min(shapes, key=lambda shape: worth(risks_of(shape), goals, costs))


def worth(risks: Risks, goals: Goals, costs: Costs | None) -> tuple[float, float]:
    """How far the best threshold is from the goals, and then what it costs; less is better."""
    alarms, missed = (np.nan_to_num(losses.means) for losses in (risks.false_alarms, risks.missed))
    if costs is not None:
        return 0.0, float(np.nan_to_num(costs.expected(risks)).min().round(9))
    wanted = ((alarms, goals.max_false_alarms), (missed, goals.max_missed))
    ratios = [values / goal for values, goal in wanted if goal is not None]
    beyond = np.maximum(np.max(ratios, axis=0) - 1, 0)
    free = [values for values, goal in wanted if goal is None]
    least = free[0] if free else np.sum(ratios, axis=0)
    at = np.lexsort([least, beyond])[0]
    return float(beyond[at].round(9)), float(least[at].round(9))
