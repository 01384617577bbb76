"""What other goals than the chosen ones would cost: the threshold, its errors, or more parts."""

from __future__ import annotations

import math
from typing import Any

from flexunet_exp.decisions import choosing
from flexunet_exp.decisions.choosing import Goals, Risks
from flexunet_exp.decisions.question import ALL, Question
from flexunet_exp.decisions.rules import REGION, ClassRule
from flexunet_exp.decisions.supported import shortage
from flexunet_exp.scores.region_record import RegionRecord
from flexunet_exp.scores.regions import THRESHOLDS

TRIED = (0.01, 0.02, 0.05, 0.1, 0.2)
TRIED_COUNTS = (0.1, 0.2, 0.5, 1.0, 2.0)  # of false alarms a picture

Price = dict[str, float | int | None]


def prices(asked: Question, record: RegionRecord, rule: ClassRule) -> list[Price]:
    """A row for each of some goals of the kind that was asked for, each goal alone.

    It has `goal`, and `threshold`, `false_alarms` and `missed` at the best threshold; None for
    figures without a part. A goal that is not granted has `needs` instead: the parts that it
    takes, None where no number helps. Empty where each class has its own rule.
    """
    if asked.by != ALL:
        return []
    risks = asked.risks(record, rule.shape)
    is_missed = asked.goals.max_false_alarms is None and asked.goals.max_missed is not None
    if not (risks.missed if is_missed else risks.false_alarms).number:
        return []
    tried = TRIED_COUNTS if asked.level == REGION and not is_missed else TRIED
    confidence = asked.goals.confidence
    return [price(risks, goal, is_missed, confidence) for goal in tried]


def price(risks: Risks, goal: float, is_missed: bool, confidence: float) -> Price:
    goals = Goals(None if is_missed else goal, goal if is_missed else None, confidence)
    candidates = choosing.granted(risks, goals)
    if not len(candidates):
        short = shortage(risks, goals)
        return {"goal": goal, "needs": short.defective_needed if is_missed else short.good_needed}
    at = choosing.best(risks, goals, candidates)
    found: dict[str, Any] = {"false_alarms": risks.false_alarms, "missed": risks.missed}
    means = {name: float(losses.means[at]) for name, losses in found.items()}
    defined = {name: None if math.isnan(one) else round(one, 6) for name, one in means.items()}
    return {"goal": goal, "threshold": round(float(THRESHOLDS[at]), 2), **defined}
