"""Options of decide, review, propose and promote."""

from __future__ import annotations

from flexunet_exp.config.options.commands.shared import NONE, PICTURES
from flexunet_exp.config.options.row import Option
from flexunet_exp.config.rules import (
    Rule,
    between,
    count,
    flag,
    fraction,
    is_model_name,
    is_text_or_texts,
    one_of,
    or_null,
    positive,
    text,
)

ROWS = (
    Option(
        "name",
        "of the decision; a run can have several",
        Rule(
            lambda value: is_model_name(value) and value != NONE,
            "a name of letters, digits, _, - and ., and not none",
            "careful",
        ),
        commands=("decide",),
    ),
    Option(
        "level",
        "what is counted: part (parts stopped), region (regions a picture, defects) or pixel",
        one_of("part", "region", "pixel"),
        commands=("decide",),
    ),
    Option(
        "by",
        "all: one rule for all defect classes; class: one for each, and every goal holds for each",
        one_of("all", "class", example="class"),
        commands=("decide",),
    ),
    Option(
        "max_false_alarms",
        "largest share of good parts stopped (part), regions a picture (region) or share of "
        "background pixels (pixel)",
        or_null(positive(0.05)),
        commands=("decide",),
    ),
    Option(
        "max_missed",
        "largest share of defective parts passed (part), of defects (region) or of their pixels "
        "(pixel)",
        or_null(fraction(0.1)),
        commands=("decide",),
    ),
    Option(
        "confidence",
        "probability with which all goals hold at once",
        fraction(0.9),
        commands=("decide",),
    ),
    Option(
        "cost_missed",
        "instead of goals: what it costs to pass a defective part",
        or_null(positive(100)),
        commands=("decide",),
    ),
    Option(
        "cost_false_alarm",
        "what it costs to stop a good part, in the unit of cost_missed",
        or_null(positive(1)),
        commands=("decide",),
    ),
    Option(
        "defect_rate",
        "share of defective parts in production, for the costs",
        or_null(fraction(0.01)),
        commands=("decide",),
    ),
    Option(
        "decision",
        "name of a decision of the run (flexunet decide) that is kept with the model and applied "
        "by default; none: without; null: as the run is registered already, else without",
        or_null(text("the name of a decision, or none", "default")),
        commands=("promote",),
    ),
    Option(
        "answers",
        "review.csv as the page of doubts saved it; null: doubts are found",
        or_null(text("a file", "review.csv")),
        literal=True,
        commands=("review",),
    ),
    Option(
        "export",
        "writes the doubtful pictures, or with answers the ticked ones, with the proposed shapes",
        or_null(one_of("labelme", "coco")),
        commands=("review",),
    ),
    Option(
        "most",
        "doubts on the page and in review.csv, the most doubtful first",
        between(1, 1000, example=100),
        commands=("review",),
    ),
    Option(
        "input",
        f"the unlabelled pictures: {PICTURES}",
        Rule(is_text_or_texts, PICTURES, "photos"),
        literal=True,
        commands=("propose",),
    ),
    Option("n", "pictures that are proposed", count(20), commands=("propose",)),
    Option(
        "output",
        "folder: new or empty; null: outputs/<date>/<time>_propose",
        or_null(text("a folder", "next")),
        literal=True,
        commands=("propose",),
    ),
    Option("overwrite", "replaces a decision of this name", flag(), commands=("decide",)),
    Option("name", "name of the registered model", commands=("promote",), example="name=zipper"),
    Option(
        "force",
        "makes the version the champion, whatever its test figures are",
        flag(),
        commands=("promote",),
    ),
)
