"""Warns of a decision whose goals hold, and that is useless: it may stop or pass everything."""

from __future__ import annotations

import math
from collections.abc import Iterator

from flexunet_exp.decisions.file import Decision
from flexunet_exp.decisions.levels import MOST_ALARMS
from flexunet_exp.decisions.rules import PART, PIXEL, REGION
from flexunet_exp.reporting.decision_words import GOALS, Shown, shown

MEANING = {
    PART: {
        "false_alarms": "the decision may stop every good part",
        "missed": "the decision may pass every defective part",
    },
    REGION: {
        "false_alarms": "the decision may mark more false alarms than are counted",
        "missed": "the decision may find no defect",
    },
    PIXEL: {
        "false_alarms": "the decision may mark all of the background",
        "missed": "the decision may find no defect",
    },
}
SOURCES = {"false_alarms": "good part", "missed": "part with a defect"}


def warnings(decision: Decision) -> Iterator[str]:
    """A sentence for each figure without a goal that may be as bad as it can be."""
    for one in shown(decision):
        if one.goal is None and one.values[2] >= most(one) - 1e-9:
            yield f"{extent(one, decision)} {advice(one, decision)}"


def most(one: Shown) -> float:
    """The most that a figure can be."""
    return MOST_ALARMS if (one.level, one.name) == (REGION, "false_alarms") else 1


def extent(one: Shown, decision: Decision) -> str:
    """How bad a figure may be, and what that means."""
    value, meaning = one.values[0], MEANING[one.level][one.name]
    if math.isnan(value):
        return f"There is no {SOURCES[one.name]} that shows it: {meaning}."
    if value >= most(one) - 1e-9:
        return f"{one.label}: {value:.3f}, the most that there can be, so {meaning}."
    reach = f"{decision.wanted['confidence']:.0%} interval reaches {most(one):g}"
    return f"{one.label}: {value:.3f}, whose {reach}, so {meaning}."


def advice(one: Shown, decision: Decision) -> str:
    """What to type instead."""
    own = GOALS[one.name]
    goal = next(name for name in GOALS.values() if name != own)
    if own in decision.wanted:
        return f"Its goals count no parts. Give one that does: level=part {own}=0.1"
    if goal not in decision.wanted:
        return "Its costs are the least: check cost_missed, cost_false_alarm and defect_rate."
    return (
        f"Choose a weaker goal{weaker(one, decision, goal)}, or add {own}=0.1: where the parts "
        "cannot support both goals, decide says what they support."
    )


def weaker(one: Shown, decision: Decision, goal: str) -> str:
    """The first weaker goal at which a figure is not as bad as it can be; empty if none is kept."""
    for price in decision.prices:
        number, value = price["goal"], price.get(one.name)
        if number is None or value is None or one.level != decision.level:
            continue
        if number > decision.wanted[goal] and value < most(one):
            return f", such as {goal}={number:g} ({one.label} {value:.3f})"
    return ""
