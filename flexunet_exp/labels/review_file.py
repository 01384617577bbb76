"""review.csv: the doubts of a review, and what a person answered."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flexunet_exp.errors import InputError, did_you_mean
from flexunet_exp.labels.compared import Box
from flexunet_exp.labels.doubts import KINDS, Doubt, expected_precision

COLUMNS = (
    *("rank", "picture", "kind", "label", "proposed", "left", "top", "width", "height", "area"),
    *("score", "probability", "distance", "expected_precision", "wrong"),
)
SHOWN_PROBLEMS = 10


class Row(NamedTuple):
    """A row of the file: a doubt, the name of its picture, and whether it is ticked as wrong."""

    picture: str
    doubt: Doubt
    is_wrong: bool


def text(doubts: Sequence[Doubt], names: Sequence[str], classes: Sequence[str]) -> str:
    """The file of ranked doubts, without answers; `names` are those of the pictures."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    expected = expected_precision(doubts)
    for rank, (one, precision) in enumerate(zip(doubts, expected, strict=True), 1):
        distance = "" if np.isnan(one.distance) else f"{one.distance:.1f}"
        head = (rank, names[one.picture], one.kind, classes[one.label], classes[one.proposed])
        estimates = (f"{one.score:.4f}", f"{one.probability:.4f}", distance, f"{precision:.4f}")
        writer.writerow([*head, *one.box, one.area, *estimates, ""])
    return buffer.getvalue()


def read(path: Path, names: Sequence[str], classes: Sequence[str]) -> list[Row]:
    """The rows of an answered file. Raises InputError with every problem.

    `names` are those of all pictures of the runs, `classes` with the background first.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns, lines = reader.fieldnames or [], list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"answers={path}: cannot be read as a table ({error}). Give the review.csv that the "
            "page saved"
        ) from error
    if lacking := [name for name in COLUMNS if name not in columns]:
        raise InputError(
            f"answers={path}: lacks the columns {', '.join(lacking)}. Give the review.csv that the "
            "page saved, separated by commas"
        )
    known = {name: number for number, name in enumerate(names)}
    problems = [
        f"{path}, line {number}: {problem}"
        for number, line in enumerate(lines, 2)
        for problem in problems_of(line, known, classes)
    ]
    if problems:
        more = len(problems) - SHOWN_PROBLEMS
        raise InputError(problems[:SHOWN_PROBLEMS] + [f"{more} more problems"] * (more > 0))
    return [row_of(line, known, classes) for line in lines]


def problems_of(
    line: Mapping[str, str | None], known: Mapping[str, int], classes: Sequence[str]
) -> Iterator[str]:
    if (picture := line["picture"] or "") not in known:
        yield f"picture {picture!r} is not of these runs.{did_you_mean(picture, known)}"
    if (kind := line["kind"]) not in KINDS:
        yield f"kind is {kind!r}, expected {', '.join(KINDS)}"
    for column in ("label", "proposed"):
        if (name := line[column]) not in classes:
            yield f"{column} is {name!r}, expected a class: {', '.join(classes)}"
    for column, least in (("left", 0), ("top", 0), ("width", 1), ("height", 1), ("area", 1)):
        value = line[column] or ""
        if not (value.isascii() and value.isdigit() and int(value) >= least):
            yield f"{column} is {value!r}, expected a whole number from {least} on"
    for column in ("score", "probability"):
        value = line[column] or ""
        if not (value.replace(".", "", 1).isdigit() and float(value) <= 1):
            yield f"{column} is {value!r}, expected a number from 0 to 1"
    if (distance := line["distance"] or "") and not distance.replace(".", "", 1).isdigit():
        yield f"distance is {distance!r}, expected a number of pixels, or nothing"
    if (wrong := line["wrong"]) not in ("", "0", "1"):
        yield f"wrong is {wrong!r}, expected 1 (the label is wrong), 0 or nothing"


def row_of(line: Mapping[str, str], known: Mapping[str, int], classes: Sequence[str]) -> Row:
    """A row that has no problems."""
    index = {name: number for number, name in enumerate(classes)}
    box = Box(*(int(line[name]) for name in Box._fields))
    doubt = Doubt(
        *(known[line["picture"]], line["kind"], index[line["label"]], index[line["proposed"]]),
        *(box, int(line["area"]), float(line["score"]), float(line["probability"])),
        float(line["distance"] or "nan"),
    )
    return Row(line["picture"], doubt, line["wrong"] == "1")
