"""report.html: an evaluation on one page that opens from disk and needs no other file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from flexunet_exp.decisions.file import Decision
from flexunet_exp.evaluation.results import OVERALL, Evaluation
from flexunet_exp.reporting import decision_words as words
from flexunet_exp.reporting import nearest
from flexunet_exp.reporting.decision_warnings import warnings
from flexunet_exp.reporting.html import address, jpeg, legend, template
from flexunet_exp.reporting.text import figure_text, interval_text
from flexunet_exp.scores import objects
from flexunet_exp.scores.record import OBJECTS, read_table
from flexunet_exp.scores.region_record import RegionRecord
from flexunet_exp.system.files import replace_file

REPORT = "report.html"
MOST_OBJECTS = 10  # rows of missed defects and of false alarms
CHARTS = ("classes", "confusion", "curves")
RELIABILITY = "reliability"  # of validation pictures, where temperatures were fitted
EXTREMES = {
    "worst": "The worst pictures by mean Dice over their classes",
    "median": "The median pictures",
    "best": "The best pictures",
}


def write(
    path: Path,
    title: str,
    evaluations: Mapping[str, Evaluation],
    folder: Path,
    facts: Mapping[str, str],
    decided: Mapping[str, Any] | None = None,
) -> None:
    """Writes the page of the splits whose files lie in `folder`/<split>; shows the last in full.

    The page has `facts` below its title: what was scored, and how. `decided` is what `decision`
    gives of the last split, if a decision was applied.
    """
    split, shown = list(evaluations.items())[-1]
    replace_file(
        path,
        template("evaluation.html")
        .render(
            title=title,
            facts=facts,
            decided=decided,
            splits=list(evaluations),
            split=split,
            overall=[overall_row(line, evaluations) for line in OVERALL],
            classes=class_rows(shown),
            images=int(shown.summary["num_images"]),
            defective=int(shown.summary["num_defective"]),
            charts=[chart(folder / split, name) for name in CHARTS],
            reliability=[
                chart(folder / name, RELIABILITY)
                for name in evaluations
                if has_picture(folder / name, RELIABILITY)
            ],
            extremes=[
                (title, picture(folder / split, name))
                for name, title in EXTREMES.items()
                if has_picture(folder / split, name)
            ],
            panels=[
                (name, picture(folder / split, f"class_{name}"))
                for name in shown.classes.index[1:]
                if has_picture(folder / split, f"class_{name}")
            ],
            **notable_objects(folder / split),
        )
        .encode(),
    )


def decision(
    decision: Decision, record: RegionRecord, palette: np.ndarray, look: nearest.Look
) -> dict[str, Any]:
    """What the page shows of a decision that was applied to the pictures of a record."""
    return {
        "decision": decision,
        "sentences": [*words.rule_sentences(decision.rules), words.kind_sentence(decision)],
        "warnings": list(warnings(decision)),
        "rows": list(words.rows(decision)),
        "confidence": f"{decision.wanted['confidence']:.0%}",
        "prices": list(words.price_rows(decision)),
        "labels": words.FIGURES[decision.level],
        "classes": legend(record.classes, palette),
        "nearest": nearest.sides(record, decision.rule, palette, look),
    }


def overall_row(
    line: tuple[str, str, str | None], evaluations: Mapping[str, Evaluation]
) -> dict[str, Any]:
    label, figure, baseline = line
    shown = list(evaluations.values())[-1]
    sources = shown.intervals["sources"].get(figure, "")
    return {
        "label": label,
        "values": [figure_text(one.summary.get(figure, math.nan)) for one in evaluations.values()],
        "interval": interval_text(shown.intervals, figure),
        "sources": sources,
        "baseline": figure_text(shown.summary[baseline]) if baseline else "",
    }


def class_rows(shown: Evaluation) -> list[dict[str, Any]]:
    table, intervals = shown.classes, shown.intervals
    figures = ("dice", "iou", "precision", "recall", "boundary_f1")
    return [
        {
            "name": name,
            "values": [figure_text(row[figure]) for figure in figures],
            "interval": interval_text(intervals, f"dice/{name}"),
            "images": int(row["images"]),
            "pixels": f"{int(row['truth_pixels']):,}",
            "found": f"{int(row['found'])} of {int(row['objects'])}" if row["objects"] else "",
        }
        for name, row in [*list(table.iterrows())[1:], next(table.iterrows())]
    ]


def notable_objects(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The largest defects without a predicted pixel, and the largest false alarms."""
    table = read_table(folder / OBJECTS)
    missed = table[(table["kind"] == objects.DEFECT) & (table["covered_by_any"] == 0)]
    alarms = table[table["kind"] == objects.FALSE_ALARM]
    return {"missed": largest(missed), "alarms": largest(alarms)}


def largest(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = table.sort_values(["area", "image"], ascending=[False, True])[:MOST_OBJECTS]
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def has_picture(folder: Path, name: str) -> bool:
    return (folder / "figures" / f"{name}.png").is_file()


def chart(folder: Path, name: str) -> str:
    """A PNG of the folder's figures as a data address."""
    return address("png", (folder / "figures" / f"{name}.png").read_bytes())


def picture(folder: Path, name: str) -> str:
    """Panels of the folder's figures as JPEG, which has a seventh of the size."""
    with Image.open(folder / "figures" / f"{name}.png") as panels:
        return jpeg(panels)
