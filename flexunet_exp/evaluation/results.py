"""The scores of a run, for a person at the terminal and as files in its folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flexunet_exp.errors import InputError
from flexunet_exp.reporting import plots
from flexunet_exp.scores import boundary, confusions, curves, objects
from flexunet_exp.scores import record as records
from flexunet_exp.scores.record import INTERVALS, Record
from flexunet_exp.system.files import replace_file

MAX_WIDTH = 100
ROOM_FOR_ALL = 96  # columns of a terminal
SCORES_CSV, SCORES_JSON = "scores.csv", "scores.json"

# Label, figure, and the figure that an all-background prediction gets.
OVERALL = (
    ("macro Dice, defects", "dice", "baseline_dice"),
    ("macro IoU, defects", "iou", None),
    ("Dice per image, mean", "image_dice", None),
    ("any defect against background, Dice", "defect_dice", None),
    ("any defect against background, IoU", "defect_iou", None),
    ("mean IoU with background", "miou_with_background", "baseline_miou_with_background"),
    ("pixel accuracy", "pixel_accuracy", "baseline_pixel_accuracy"),
    ("dice_coef_multiclass", "dice_coef_multiclass", "baseline_dice_coef_multiclass"),
    ("pixel AUROC", "pixel_auroc", None),
    ("average precision over pixels", "average_precision", None),
    ("AU-PRO up to 30 % false positives", "au_pro", None),
    ("AUROC of images, defective or good", "image_auroc", None),
    ("boundary F1, defects", "boundary_f1", None),
    ("defects found as their class", "object_recall", None),
    ("defects found as any defect", "object_recall_any", None),
    ("false alarms an image", "false_alarms_per_image", None),
    ("false alarms a good image", "false_alarms_per_good_image", None),
    ("smallest found defect, pixels", "smallest_found", None),
    ("dominant class right", "dominant_class_accuracy", None),
)

# Of a class, beside Dice: the header and the figure.
FIGURES = (
    ("IoU", "iou"),
    ("preci-\nsion", "precision"),
    ("recall", "recall"),
    ("outline\nF1", "boundary_f1"),
)


class Evaluation(NamedTuple):
    """The figures of a split, as they are kept in its folder."""

    summary: dict[str, float]
    classes: pd.DataFrame  # a row a class
    intervals: pd.DataFrame  # a row a figure: value, low, high, sources


def print_scores(splits: Mapping[str, Evaluation], console: Console | None = None) -> None:
    """Print each split, such as `{"valid": …, "test": …}`.

    The last split is shown in full; of the others Dice and the overall figures. An undefined figure
    is "–".
    """
    console = console or terminal()
    console.print(_class_table(splits, console.width))
    console.print(_overall_table(splits))
    for split, evaluation in splits.items():
        images, defective = (
            int(evaluation.summary[name]) for name in ("num_images", "num_defective")
        )
        console.print(Text(f"  {split}: {images} images, {defective} of them with a defect"))


def write_evaluation(
    folder: Path, record: Record, object_overlap: float, resamples: int
) -> Evaluation:
    """Write a split's record, figures, intervals and pictures of them into `folder`.

    `folder` is called after the split; `object_overlap` and `resamples` are those of `score.*`.
    """
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    records.save(record, folder)
    summary = records.summary(record, object_overlap)
    intervals = records.intervals(record, object_overlap, resamples, summary)
    classes = class_table(record, object_overlap)
    replace_file(folder / SCORES_CSV, classes.to_csv().encode())
    replace_file(folder / SCORES_JSON, _to_json(summary).encode())
    replace_file(folder / INTERVALS, intervals.to_csv().encode())
    pooled = record.counts.sum(axis=0)
    plots.confusion_figure(pooled, record.classes, figures / "confusion.png", title=folder.name)
    plots.bar_figure(classes, intervals, figures / "classes.png", title=folder.name)
    points = curves.curve_points(record.histograms)
    plots.score_curves(points, summary, figures / "curves.png", title=folder.name)
    return Evaluation(summary, classes, intervals)


def class_table(record: Record, object_overlap: float) -> pd.DataFrame:
    """A row a class: `confusions.per_class`, boundary F1, objects and how many were found."""
    table = confusions.per_class(record.counts, record.classes)
    table["boundary_f1"] = boundary.boundary_f1(record.boundaries.sum(axis=0))
    counts = objects.object_counts(record.objects, record.names, record.classes, object_overlap)
    number = np.concatenate([np.zeros((1, 2), np.int64), counts.sum(axis=0)])
    table["objects"], table["found"] = number.T
    return table


def read_evaluation(folder: Path) -> Evaluation:
    """What `write_evaluation` returned, from the files it left in `folder`.

    Raises InputError naming every missing file, or the folder where one is damaged.
    """
    advice = (
        "expected the scores of a finished run: score it again with `flexunet evaluate run=RUN`."
    )
    paths = [folder / name for name in (SCORES_JSON, SCORES_CSV, INTERVALS)]
    missing = [f"{path}: no such file, {advice}" for path in paths if not path.is_file()]
    if missing:
        raise InputError(missing)
    try:
        classes, intervals = _read_csv(paths[1], "class"), _read_csv(paths[2], "figure")
        return Evaluation(_read_json(paths[0]), classes, intervals)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: one of its files of scores is damaged, {advice}") from error


def read_summary(folder: Path) -> dict[str, float]:
    """The figures that any version of the program left in `folder`; none if it left none."""
    path = folder / SCORES_JSON
    try:
        return _read_json(path) if path.is_file() else {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: damaged. Score the run again into a folder of its own."
        ) from error


def interval_text(intervals: pd.DataFrame, figure: str) -> str:
    """`0.31–0.52`, or `too few` sources for an interval; nothing where none is computed."""
    if figure not in intervals.index:
        return ""
    value, low, high = intervals.loc[[figure], ["value", "low", "high"]].to_numpy(np.float64)[0]
    if math.isnan(value):
        return "–"
    return "too few" if math.isnan(low) else f"{low:.2f}–{high:.2f}"


def pick_extremes(counts: np.ndarray, names: Sequence[str], n: int = 3) -> dict[str, list[int]]:
    """Indices of the `n` best, median and worst images by macro defect Dice, the extreme first.

    Images without defect in truth and prediction are left out; of few images none appears twice.
    Equal scores are ordered by name.
    """
    dice = confusions.per_image(counts)["dice"]
    rest = sorted(dice.dropna().index, key=lambda i: (dice[i], names[i]))
    worst = rest[: min(n, math.ceil(len(rest) / 3))]
    rest = rest[len(worst) :]
    best = rest[::-1][: min(n, math.ceil(len(rest) / 2))]
    rest = rest[: len(rest) - len(best)]
    start = (len(rest) - min(n, len(rest))) // 2
    return {"best": best, "median": rest[start : start + n], "worst": worst}


def pick_of_class(counts: np.ndarray, names: Sequence[str], index: int) -> list[int]:
    """Indices of the best, the median and the worst image of those that show a class, by its Dice.

    Fewer where fewer show it; equal scores are ordered by name.
    """
    hits, truth = counts[:, index, index], counts[:, index].sum(axis=1)
    dice = 2 * hits / np.maximum(truth + counts[:, :, index].sum(axis=1), 1)
    ranked = sorted(np.flatnonzero(truth).tolist(), key=lambda i: (-dice[i], names[i]))
    wanted = (0, len(ranked) // 2, len(ranked) - 1) if ranked else ()
    return [ranked[place] for place in dict.fromkeys(wanted)]


def terminal() -> Console:
    """Standard output, at most MAX_WIDTH columns; a file or pipe gets them all."""
    console = Console()
    if not console.is_terminal or console.width > MAX_WIDTH:
        console.width = MAX_WIDTH
    return console


def _class_table(splits: Mapping[str, Evaluation], width: int) -> Table:
    """A row a class; a terminal that is too narrow gets the first figures alone."""
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


def plain_table(title: str, first: str) -> Table:
    """A table without lines, whose first column is headed `first`."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column(first, overflow="fold")
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


def figure_text(value: float, digits: int = 4) -> str:
    """The figure for a person; "–" where it is undefined, fewer digits from 10 on."""
    if math.isnan(value):
        return "–"
    if abs(value) < 10:
        return f"{value:.{digits}f}"
    return f"{value:.{min(digits, 2)}f}" if abs(value) < 100 else f"{value:,.0f}"


def _to_json(summary: Mapping[str, float]) -> str:
    defined = {name: None if math.isnan(value) else value for name, value in summary.items()}
    return json.dumps(defined, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _read_json(path: Path) -> dict[str, float]:
    stored = json.loads(path.read_text(encoding="utf-8"))
    return {name: math.nan if value is None else float(value) for name, value in stored.items()}


def _read_csv(path: Path, index: str) -> pd.DataFrame:
    # A class may be called "none" or "nan": only an empty field is undefined.
    return pd.read_csv(
        path,
        index_col=index,
        dtype={index: str},
        keep_default_na=False,
        na_values=[""],
    )
