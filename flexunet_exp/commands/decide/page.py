"""decide.html: a decision on one page that opens from disk and needs no other file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flexunet_exp.commands.decide import charts, words
from flexunet_exp.commands.decide.evidence import Evidence
from flexunet_exp.decisions import choosing, curves, levels
from flexunet_exp.decisions.choosing import Goals
from flexunet_exp.decisions.file import Decision
from flexunet_exp.decisions.question import ALL, PARTS, Question
from flexunet_exp.decisions.rules import REGION, ClassRule, Rule
from flexunet_exp.decisions.supported import shortage
from flexunet_exp.evaluation.regions import FREE_RESPONSE
from flexunet_exp.reporting.html import template
from flexunet_exp.scores.regions import THRESHOLDS
from flexunet_exp.system.files import replace_file, write_table

PAGE = "decide.html"
RESAMPLES = 1000
TRIED = (0.01, 0.02, 0.05, 0.1, 0.2)  # goals whose price the page tells
TRIED_COUNTS = (0.1, 0.2, 0.5, 1.0, 2.0)  # likewise, of false alarms a picture
NEAREST = 10  # pictures on either side of the decision


class Price(NamedTuple):
    """What a goal would cost, as texts."""

    goal: str
    threshold: str
    false_alarms: str
    missed: str
    needs: str


def write(folder: Path, decision: Decision, asked: Question, found: Evidence, rule: Rule) -> None:
    """Writes the page, its curves and the table of the free-response curve."""
    record, first = found.chosen_on, next(iter(rule.of_class.values()))
    table = curves.free_response(record, first.shape, asked.overlap, RESAMPLES)
    chosen = {name: one.threshold for name, one in rule.of_class.items()}
    if asked.by == ALL:
        chosen[curves.ALL] = first.threshold
    drawn = {"free_response.svg": charts.free_response(table, chosen)}
    parts = decision.expected[PARTS]
    point = (parts["false_alarms"][0], parts["missed"][0])
    if not np.isnan(point).any():
        curve = curves.part_curve(record, first.shape, RESAMPLES)
        drawn["parts.svg"] = charts.parts_chart(curve, point)
    write_table(folder / FREE_RESPONSE, table)
    for name, text in drawn.items():
        replace_file(folder / name, f'<?xml version="1.0"?>\n{text}'.encode())
    text = template("decide.html").render(
        decision=decision,
        title=f"Decision {decision.name}",
        rules=list(words.rule_sentences(decision.rules)),
        kind=words.cost_sentence(decision) + words.kind_sentence(decision),
        rows=list(words.rows(decision)),
        confidence=f"{decision.wanted['confidence']:.0%}",
        labels=words.FIGURES[decision.level],
        prices=list(prices(asked, found, first)) if asked.by == ALL else [],
        charts=list(drawn.values()),
        nearest=nearest(found, rule),
    )
    replace_file(folder / PAGE, text.encode())


def prices(asked: Question, found: Evidence, rule: ClassRule) -> Iterator[Price]:
    """What each of some goals would cost, by the kind of goal that was asked for."""
    risks = asked.risks(found.chosen_on, rule.shape)
    is_missed = asked.goals.max_false_alarms is None and asked.goals.max_missed is not None
    if not (risks.missed if is_missed else risks.false_alarms).number:
        return
    for goal in TRIED_COUNTS if asked.level == REGION and not is_missed else TRIED:
        pair = (None, goal) if is_missed else (goal, None)
        goals = Goals(pair[0], pair[1], asked.goals.confidence)
        candidates = choosing.granted(risks, goals)
        if len(candidates):
            at = choosing.best(risks, goals, candidates)
            alarms, missed = (
                f"{losses.means[at]:.3f}" if losses.number else "–"
                for losses in (risks.false_alarms, risks.missed)
            )
            yield Price(f"{goal:g}", f"{THRESHOLDS[at]:g}", alarms, missed, "")
        else:
            short = shortage(risks, goals)
            needed = short.defective_needed if is_missed else short.good_needed
            yield Price(f"{goal:g}", "", "", "", "no number" if needed is None else str(needed))


def nearest(found: Evidence, rule: Rule) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """The pictures nearest to the decision on either side: name, margin and truth."""
    record = found.chosen_on
    margins = levels.margins(record, rule)
    sides = {"Stopped by the least": margins >= 0, "Passed by the least": margins < 0}
    shown = []
    for title, is_side in sides.items():
        places = np.flatnonzero(is_side)
        places = places[np.argsort(np.abs(margins[places]), kind="stable")][:NEAREST]
        rows = [
            (
                str(record.names[place]),
                f"{margins[place]:+.2f}",
                "with a defect" if record.is_defective[place] else "good",
            )
            for place in places
        ]
        shown.append((title, rows))
    return shown
