"""decide.html: a decision on one page that opens from disk and needs no other file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from flexunet_exp.commands.decide import charts
from flexunet_exp.commands.decide.evidence import Evidence
from flexunet_exp.decisions import curves
from flexunet_exp.decisions.file import Decision
from flexunet_exp.decisions.question import ALL, PARTS, Question
from flexunet_exp.decisions.rules import Rule
from flexunet_exp.errors import InputError
from flexunet_exp.evaluation.regions import FREE_RESPONSE
from flexunet_exp.reporting import decision_words as words
from flexunet_exp.reporting import nearest
from flexunet_exp.reporting.decision_warnings import warnings
from flexunet_exp.reporting.html import legend, template
from flexunet_exp.system.files import replace_file, write_table

PAGE = "decide.html"
RESAMPLES = 1000


def write(
    folder: Path,
    decision: Decision,
    asked: Question,
    found: Evidence,
    rule: Rule,
    facts: Mapping[str, str],
) -> None:
    """Writes the page, its curves and the table of the free-response curve.

    The page has `facts` below its title: what the decision is of.
    """
    record, first = found.chosen_on, next(iter(rule.of_class.values()))
    shapes = {name: one.shape for name, one in rule.of_class.items()}
    table = curves.free_response(record, shapes, asked.overlap, RESAMPLES)
    chosen = {name: one.threshold for name, one in rule.of_class.items()}
    if asked.by == ALL:
        chosen[curves.ALL] = first.threshold
    drawn = {}
    if any(curves.points(table)):
        drawn["free_response.svg"] = charts.free_response(table, chosen)
    parts = decision.expected[PARTS]
    point = (parts["false_alarms"][0], parts["missed"][0])
    # A curve over one threshold needs one shape of the regions that remain.
    if not np.isnan(point).any() and len(set(shapes.values())) == 1:
        curve = curves.part_curve(record, first.shape, RESAMPLES)
        drawn["parts.svg"] = charts.parts_chart(curve, point)
    write_table(folder / FREE_RESPONSE, table)
    for name, text in drawn.items():
        replace_file(folder / name, f'<?xml version="1.0"?>\n{text}'.encode())
    text = template("decide.html").render(
        decision=decision,
        title=f"Decision {decision.name}",
        facts=facts,
        classes=legend(record.classes, found.palette),
        rules=list(words.rule_sentences(decision.rules)),
        kind=words.cost_sentence(decision) + words.kind_sentence(decision),
        warnings=list(warnings(decision)),
        rows=list(words.rows(decision)),
        confidence=f"{decision.wanted['confidence']:.0%}",
        labels=words.FIGURES[decision.level],
        prices=list(words.price_rows(decision)),
        charts=list(drawn.values()),
        nearest=nearest.sides(record, rule, found.palette, look_of(found)),
    )
    replace_file(folder / PAGE, text.encode())


def look_of(found: Evidence) -> nearest.Look:
    """Reads a picture and its truth, where they are as they were when it was predicted."""

    def look(name: str) -> tuple[np.ndarray, list[np.ndarray]] | None:
        dataset, sample = found.pictures[name]
        try:
            if dataset.image_hash(sample) != sample.sha256:
                return None
            return dataset.read_image(sample), [dataset.layout.read_mask(sample)]
        except (OSError, InputError):
            return None

    return look
