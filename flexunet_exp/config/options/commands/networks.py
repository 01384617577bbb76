"""Options of evaluate, infer and export."""

from __future__ import annotations

from typing import Any

from flexunet_exp.config.options.commands.shared import PICTURES
from flexunet_exp.config.options.row import Option
from flexunet_exp.config.rules import (
    Rule,
    between,
    count,
    flag,
    is_int,
    is_number,
    is_text_or_texts,
    not_negative,
    one_of,
    or_null,
    part,
    text,
)

TURNS = (0, 90, 180, 270)


def is_window(value: Any) -> bool:
    if isinstance(value, str):
        return value in ("auto", "slice")
    is_pair = isinstance(value, list) and len(value) == 2 and all(map(is_number, value))
    return is_pair and value[0] < value[1]


LOGITS = "largest allowed difference of a logit from the network in float32"

ROWS = (
    Option(
        "decision",
        "name of a decision of the run (flexunet decide) that is applied; none: the most probable "
        "class of each pixel",
        text("the name of a decision, or none", "default"),
        commands=("evaluate",),
    ),
    Option(
        "decision",
        "name of a decision of the run (flexunet decide) that is applied; none: the most probable "
        "class of each pixel; null: the decision promoted with a registered model, else none",
        or_null(text("the name of a decision, or none", "default")),
        commands=("infer",),
    ),
    Option(
        "decision",
        "name of a decision of the run that is written beside the file, or none; null: the "
        "decision promoted with a registered model, else none",
        or_null(text("the name of a decision, or none", "default")),
        commands=("export",),
    ),
    Option(
        "ensemble",
        "averages the probabilities of runs with the same test pictures",
        commands=("evaluate",),
    ),
    Option(
        "only",
        "scores one folder of dataset=… alone: train, valid or test",
        commands=("evaluate",),
        example="only=test",
    ),
    Option(
        "input",
        PICTURES,
        Rule(is_text_or_texts, PICTURES, "photos"),
        literal=True,
        commands=("infer",),
    ),
    Option(
        "output",
        "folder: new, empty, or one of this command, in which missing pictures are predicted",
        text("a folder", "results"),
        literal=True,
        commands=("infer",),
    ),
    Option(
        "overlays",
        "writes the picture with its regions tinted",
        flag(example=False),
        commands=("infer",),
    ),
    Option("probabilities", "writes the probabilities", flag(), commands=("infer",)),
    Option(
        "uncertainty",
        "writes how unsure each pixel is, 0 to 1, and draws it in evaluate's report: entropy of "
        "the probabilities; folds: disagreement of networks that predict together",
        one_of("none", "entropy", "folds", example="entropy"),
        commands=("infer", "evaluate"),
    ),
    Option(
        "overwrite",
        "replaces what is in the output folder already",
        flag(),
        commands=("infer", "export"),
    ),
    Option(
        "volume.axis",
        "axis along which the slices of a volume lie: 0, 1 or 2 of (z, y, x)",
        between(0, 2, 2),
        commands=("infer",),
    ),
    Option(
        "volume.turn",
        "degrees by which slices are turned clockwise: 0, 90, 180 or 270; masks are turned back",
        Rule(lambda value: is_int(value) and value in TURNS, "0, 90, 180 or 270", "90"),
        commands=("infer",),
    ),
    Option(
        "volume.window",
        "values of a volume that become 0 to 255: [LOW,HIGH]; auto: of the whole volume, bytes as "
        "they are; slice: from the least to the largest of each slice",
        Rule(is_window, "auto, slice or [LOW,HIGH], the low one first", "[0,4095]"),
        commands=("infer",),
    ),
    Option(
        "volume.key",
        "data set of an .h5 file",
        text("the name of a data set", "image"),
        commands=("infer",),
    ),
    Option(
        "volume.video",
        "overlays of a volume's slices: none, gif or mp4",
        one_of("none", "gif", "mp4", example="mp4"),
        commands=("infer",),
    ),
    Option("volume.fps", "frames a second of this video", between(1, 50, 10), commands=("infer",)),
    Option("format", "saved_model, onnx or litert", commands=("export",), example="format=onnx"),
    Option(
        "output",
        "folder; null: exports/<run name>_<format>",
        or_null(text("a folder", "exports/grid")),
        literal=True,
        commands=("export",),
    ),
    Option(
        "input",
        "pictures on which file and network are compared; null: test pictures of the run",
        or_null(Rule(is_text_or_texts, PICTURES, "photos")),
        literal=True,
        commands=("export",),
    ),
    Option("images", "number of these pictures", count(8), commands=("export",)),
    Option("max_logit_difference", LOGITS, not_negative(0.01), commands=("export",)),
    Option(
        "min_agreement",
        "least share of pixels to which file and trained network give the same class",
        part(0.999),
        commands=("export",),
    ),
    Option("log", "adds the file itself to the run in the store", flag(), commands=("export",)),
)
