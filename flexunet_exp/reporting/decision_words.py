"""A decision in words: what was wanted, the rule, and what to expect of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from flexunet_exp.decisions.file import GUARANTEE, Decision
from flexunet_exp.decisions.question import PARTS
from flexunet_exp.decisions.rules import PART, PIXEL, REGION

FIGURES = {
    PART: {"false_alarms": "good parts stopped", "missed": "defective parts passed"},
    REGION: {"false_alarms": "false alarms a picture (5 at most)", "missed": "defects missed"},
    PIXEL: {"false_alarms": "background pixels marked", "missed": "defect pixels missed"},
}
GOALS = {"false_alarms": "max_false_alarms", "missed": "max_missed"}


class Row(NamedTuple):
    """A figure of a decision, with its goal, as chosen and as test showed it."""

    label: str
    goal: str
    expected: str
    interval: str
    sources: str
    test: str
    test_interval: str


class Shown(NamedTuple):
    """A figure of a decision, under the name that readers know."""

    label: str
    group: str
    name: str  # false_alarms or missed
    level: str  # pixel, region or part: what it counts
    goal: float | None
    values: Sequence[float]  # value, low, high, sources


def shown(decision: Decision) -> Iterator[Shown]:
    """The figures at the decision's level, then those of whole parts."""
    for group, expected in decision.expected.items():
        is_parts = group == PARTS
        if is_parts and decision.level == PART:
            continue  # the same figures again
        level = PART if is_parts else decision.level
        prefix = "" if group in ("all", PARTS) else f"{group}: "
        has_goal = level == decision.level
        for name, values in expected.items():
            goal = decision.wanted.get(GOALS[name]) if has_goal else None
            yield Shown(prefix + FIGURES[level][name], group, name, level, goal, values)


def rows(decision: Decision) -> Iterator[Row]:
    """The figures as texts, each as chosen and as test showed it."""
    for one in shown(decision):
        tested = decision.test.get(one.group, {}).get(one.name)
        yield Row(
            one.label,
            "" if one.goal is None else f"≤ {one.goal:g}",
            *texts(one.values),
            str(one.values[3]),
            *(texts(tested) if tested else ("", "")),
        )


class PriceRow(NamedTuple):
    """What a goal would cost."""

    goal: str
    threshold: str
    false_alarms: str
    missed: str
    needs: str


def price_rows(decision: Decision) -> Iterator[PriceRow]:
    """The rows of what other goals would cost, as the decision keeps them."""
    name = priced(decision)
    lacking = sources(decision, name)
    for one in decision.prices:
        goal = f"{GOALS[name]} ≤ {one['goal']:g}"
        if "needs" in one:
            needs = "no number is enough" if one["needs"] is None else f"{one['needs']} {lacking}"
            yield PriceRow(goal, "not granted", "", "", needs)
        else:
            figures = (one["false_alarms"], one["missed"])
            alarms, missed = ("–" if value is None else f"{value:.3f}" for value in figures)
            yield PriceRow(goal, f"{one['threshold']:g}", alarms, missed, "")


def priced(decision: Decision) -> str:
    """The kind of goal that the rows are of: the decision's own, false alarms first."""
    has_alarms = GOALS["false_alarms"] in decision.wanted
    return "missed" if GOALS["missed"] in decision.wanted and not has_alarms else "false_alarms"


def sources(decision: Decision, name: str) -> str:
    """What a goal is tested on: good parts count no misses, and regions are counted on all."""
    if name == "missed":
        return "parts with defects"
    return "good parts" if decision.level == PART else "parts"


def texts(figure: Sequence[float]) -> tuple[str, str]:
    """A figure and its interval."""
    value, low, high, _ = figure
    return ("–", "") if math.isnan(value) else (f"{value:.3f}", f"{low:.3f}–{high:.3f}")


def rule_sentences(rules: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """What remains a defect: a sentence for each rule, one for classes of the same rule."""
    by_rule: dict[str, list[str]] = {}
    for name, rule in rules.items():
        by_rule.setdefault(rule_text(rule), []).append(name)
    for text, names in by_rule.items():
        who = "any defect class" if len(by_rule) == 1 else ", ".join(names)
        yield f"Regions of {who} {text}"


def rule_text(rule: Mapping[str, float]) -> str:
    text = f"with a probability of at least {rule['threshold']:g}"
    if rule["min_area"] > 1:
        text += f", {rule['min_area']:g} pixels or more"
    if rule["min_probability"] > 0:
        text += f", and a mean probability of at least {rule['min_probability']:g}"
    return f"{text}."


def cost_sentence(decision: Decision) -> str:
    """What a part costs; empty for a decision by goals."""
    if not decision.cost:
        return ""
    return (
        f"A part costs {decision.cost[0]:.3g} on average there, in the unit of cost_false_alarm; "
        f"its bound is {decision.cost[1]:.3g}. "
    )


def kind_sentence(decision: Decision) -> str:
    """What the goals are worth."""
    data, confidence = decision.data, decision.wanted["confidence"]
    where = f"{data['pictures']} pictures of {data['sources']} parts"
    what = f"a part costs at most {decision.cost[1]:.3g}" if decision.cost else "the goals hold"
    if decision.kind != GUARANTEE:
        return estimate_sentences(decision.name, where)
    return (
        f"This is a guarantee: for parts like those of the calibration part ({where}), which "
        f"nothing else was chosen on, {what} with a probability of {confidence:g}."
    )


def estimate_sentences(name: str, where: str) -> str:
    """What a decision that folds estimate may differ from, and how to test it."""
    return (
        f"This is an estimate, from {where} that were predicted by the folds that had not seen "
        "them. The decision is applied to the mean of all folds. Where they disagree, the mean has "
        "lower probabilities than the surest fold, so the folds together may stop fewer parts than "
        "estimated. Test it on other pictures: flexunet evaluate run=PARENT ensemble=true "
        f"decision={name} dataset=NAME dataset.path=FOLDER. Or choose a decision for one run with "
        "a calibration part (split.calibration=0.2)."
    )
