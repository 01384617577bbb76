"""The scores of a split as files in its folder, and the choice of pictures to show."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from flexunet_exp.errors import InputError
from flexunet_exp.reporting import plots
from flexunet_exp.scores import boundary, confusions, curves, objects
from flexunet_exp.scores import record as records
from flexunet_exp.scores.record import INTERVALS, Record
from flexunet_exp.system.files import replace_file

SCORES_CSV, SCORES_JSON = "scores.csv", "scores.json"

# Label, figure, and the same figure of an all-background prediction.
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


class Evaluation(NamedTuple):
    """The figures of a split, as its folder keeps them."""

    summary: dict[str, float]
    classes: pd.DataFrame  # a row a class
    intervals: pd.DataFrame  # a row a figure: value, low, high, sources


def write_evaluation(
    folder: Path, record: Record, object_overlap: float, resamples: int
) -> Evaluation:
    """Write a split's record, figures, intervals and charts into `folder`.

    `folder` has the name of the split; `object_overlap` and `resamples` are those of `score.*`.
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
    """The figures that any version of the program wrote into `folder`; empty if none did."""
    path = folder / SCORES_JSON
    try:
        return _read_json(path) if path.is_file() else {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: damaged. Score the run again into a folder of its own."
        ) from error


def pick_extremes(counts: np.ndarray, names: Sequence[str], n: int = 3) -> dict[str, list[int]]:
    """Indices of the `n` best, median and worst images by macro defect Dice, extremes first.

    Images without a defect in truth and prediction are left out. No image appears twice.
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
    """Indices of the best, median and worst image that show a class, by the Dice of the class.

    Fewer than three where fewer images show it; equal scores are ordered by name.
    """
    hits, truth = counts[:, index, index], counts[:, index].sum(axis=1)
    dice = 2 * hits / np.maximum(truth + counts[:, :, index].sum(axis=1), 1)
    ranked = sorted(np.flatnonzero(truth).tolist(), key=lambda i: (-dice[i], names[i]))
    wanted = (0, len(ranked) // 2, len(ranked) - 1) if ranked else ()
    return [ranked[place] for place in dict.fromkeys(wanted)]


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
