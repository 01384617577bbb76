"""Prints the scores of a run on the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flexunet_exp.evaluation.results import OVERALL, Evaluation
from flexunet_exp.reporting.text import figure_text, interval_text, plain_table, terminal

ROOM_FOR_ALL = 96  # columns of a terminal
# Figures of a class beside Dice: header and name.
FIGURES = (
    ("IoU", "iou"),
    ("preci-\nsion", "precision"),
    ("recall", "recall"),
    ("outline\nF1", "boundary_f1"),
)


def print_scores(splits: Mapping[str, Evaluation], console: Console | None = None) -> None:
    """Print each split, such as `{"valid": …, "test": …}`.

    The last split is shown in full; of the other splits, Dice and the overall figures. An undefined
    figure is "–".
    """
    console = console or terminal()
    console.print(_class_table(splits, console.width))
    console.print(_overall_table(splits))
    for split, evaluation in splits.items():
        images, defective = (
            int(evaluation.summary[name]) for name in ("num_images", "num_defective")
        )
        console.print(Text(f"  {split}: {images} images, {defective} of them with a defect"))


def _class_table(splits: Mapping[str, Evaluation], width: int) -> Table:
    """A row a class; on a narrow terminal with the first figures alone."""
    split, (_, shown, intervals) = list(splits.items())[-1]
    figures = FIGURES if width >= ROOM_FOR_ALL else FIGURES[:1]
    table = plain_table(f"Scores per class ({split})", "class")
    headers = ["n", "pixels\n%", *(f"{name}\nDice" for name in splits), "95 %\ninterval"]
    for header in [*headers, *(header for header, _ in figures), "found"]:
        table.add_column(header, justify="right", no_wrap=True)
    pixels = shown["truth_pixels"]
    for name in [*shown.index[1:], shown.index[0]]:
        row = shown.loc[name]
        share = 100 * pixels[name] / pixels.sum() if pixels.sum() else math.nan
        dice = [figure_text(evaluation.classes["dice"][name], 3) for evaluation in splits.values()]
        rest = [figure_text(row[figure], 3) for _, figure in figures]
        found = f"{row['found']:.0f}/{row['objects']:.0f}" if row["objects"] else ""
        sure = interval_text(intervals, f"dice/{name}")
        images = str(int(row["images"]))
        table.add_row(Text(name), images, figure_text(share, 2), *dice, sure, *rest, found)
    return table


def _overall_table(splits: Mapping[str, Evaluation]) -> Table:
    split, (last, _, intervals) = list(splits.items())[-1]
    table = plain_table("Over all classes", "figure")
    for header in [*splits, "95 %\ninterval", f"{split}, predicting\nonly background"]:
        table.add_column(header, justify="right", no_wrap=True)
    for label, figure, baseline in OVERALL:
        values = [
            figure_text(evaluation.summary.get(figure, math.nan)) for evaluation in splits.values()
        ]
        sure = interval_text(intervals, figure)
        table.add_row(label, *values, sure, figure_text(last[baseline]) if baseline else "")
    return table
