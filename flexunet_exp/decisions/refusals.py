"""Says why sources do not support a goal, how many it would take, and what can be had instead."""

from __future__ import annotations

from collections.abc import Iterator

from flexunet_exp.decisions.choosing import Goals, Risks
from flexunet_exp.decisions.rules import PART
from flexunet_exp.decisions.supported import Shortage, shortage
from flexunet_exp.errors import InputError

# What a source of false alarms, and one of misses, is called at the level of parts and otherwise.
GOOD = {True: "good parts", False: "parts"}
INSTEAD = {
    "good": "Without good parts, choose by max_missed alone, or by level=region, where false "
    "alarms are counted on all pictures",
    "defective": "Without defects, choose by max_false_alarms alone",
}


def require_sources(risks: Risks, name: str, false_alarms: bool, missed: bool) -> None:
    """Raises InputError where there is no source at all of false alarms, or of misses.

    `false_alarms` and `missed` say which kinds are needed; `name` is a class, or `all`.
    """
    problems = []
    if false_alarms and not risks.false_alarms.number:
        problems.append(f"There is no good part to choose on. {INSTEAD['good']}.")
    if missed and not risks.missed.number:
        what = "a defect" if name == "all" else name
        problems.append(f"There is no part with {what} to choose on. {INSTEAD['defective']}.")
    if problems:
        raise InputError(problems)


def refused(risks: Risks, level: str, name: str, goals: Goals) -> InputError:
    """What goals that are not granted would take; `name` is a class, or `all`."""
    where = "" if name == "all" else f"{name}: "
    return InputError(where + sentence_of(risks, level, goals, shortage(risks, goals)))


def sentence_of(risks: Risks, level: str, goals: Goals, found: Shortage) -> str:
    there = " and ".join(kinds(risks, level, goals))
    wanted = words(goals.max_false_alarms, goals.max_missed)
    return (
        f"{there} cannot support {wanted} with confidence={goals.confidence:g}. "
        f"{needs(risks, level, goals, found)} {instead(found)}"
    )


def instead(found: Shortage) -> str:
    """What can be typed in place of goals that are not granted."""
    if 1 in (found.max_false_alarms, found.max_missed):  # which is no goal
        return "They support no goal below 1 at this confidence: type a lower one."
    supported = words(found.max_false_alarms, found.max_missed)
    return f"The best that they support is {supported}: type that, or a lower confidence."


def kinds(risks: Risks, level: str, goals: Goals) -> Iterator[str]:
    """The number of sources that each goal is tested on."""
    if goals.max_false_alarms is not None:
        yield f"{risks.false_alarms.number} {GOOD[level == PART]}"
    if goals.max_missed is not None:
        yield f"{risks.missed.number} parts with defects"


def needs(risks: Risks, level: str, goals: Goals, found: Shortage) -> str:
    """How many sources the goals take, and how many are lacking."""
    if found.good_needed is None or found.defective_needed is None:
        return (
            "No number of parts would: at every threshold they go wrong too often. Train a better "
            "network."
        )
    pairs = (
        (found.good_needed, risks.false_alarms.number, GOOD[level == PART]),
        (found.defective_needed, risks.missed.number, "parts with defects"),
    )
    taken = [
        f"{needed} {what} ({needed - there} more)"
        for needed, there, what in pairs
        if needed > there
    ]
    if not taken:
        return "It would take a few more of them."
    return f"It takes {' and '.join(taken)}, if they go wrong as often as these."


def words(max_false_alarms: float | None, max_missed: float | None) -> str:
    """Goals as one types them."""
    given = {"max_false_alarms": max_false_alarms, "max_missed": max_missed}
    return " ".join(f"{name}={value:g}" for name, value in given.items() if value is not None)
