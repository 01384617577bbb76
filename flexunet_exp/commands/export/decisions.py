"""A decision beside an exported file, in plain fields: a program can apply it without this package.

docs/guides/export.md has such a program.
"""

from __future__ import annotations

import math
from typing import Any

from flexunet_exp.decisions.file import Decision
from flexunet_exp.scores.regions import LEVELS, STEPS

APPLIES_TO = (
    "the probabilities of a whole picture at its own size: softmax of the logits (divided by the "
    "temperatures, where classes.json lists them), tiles and views as classes.json says, then "
    "resized bilinearly (OpenCV INTER_LINEAR) to the picture's size"
)
RULE = (
    "1. Per class, multiply the probabilities by `steps` in float32 and round down to whole steps.",
    "2. Pixels of at least `least_steps` form regions (8-connected).",
    "3. A region remains if it has at least `min_area` pixels, and if its mean number of steps, "
    "divided by `steps`, is at least `min_probability`.",
    "4. A picture is stopped if a region of any class remains, else it passes; a part is stopped "
    "if one of its pictures is.",
)


def content(decision: Decision) -> dict[str, Any]:
    """The decision's rule, what it was chosen for, and what to expect of it."""
    return {
        "name": decision.name,
        "kind": decision.kind,
        "level": decision.level,
        "wanted": decision.wanted,
        "applies_to": APPLIES_TO,
        "rule": list(RULE),
        "steps": STEPS,
        "classes": [
            {"index": index, "name": name, **values, "least_steps": least_steps(decision, name)}
            for index, (name, values) in enumerate(decision.rules.items(), start=1)
        ],
        "expected": defined(decision.expected),
        "test": defined(decision.test),
        "data": decision.data,
    }


def defined(figures: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Figures as value, low, high and parts; null where one is undefined, as JSON has no NaN."""
    return {
        group: {
            name: [None if math.isnan(one) else one for one in figure]
            for name, figure in of_group.items()
        }
        for group, of_group in figures.items()
    }


def least_steps(decision: Decision, name: str) -> int:
    """A class's threshold in steps."""
    return int(LEVELS[decision.rule.of_class[name].place])
