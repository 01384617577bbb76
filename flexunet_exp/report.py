"""The scores of a run, for a person at the terminal and as files in its folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flexunet_exp import plots, scores
from flexunet_exp.errors import InputError
from flexunet_exp.files import replace_file

MAX_WIDTH = 100

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
)

Evaluation = tuple[dict[str, float], pd.DataFrame]


def print_scores(splits: Mapping[str, Evaluation], console: Console | None = None) -> None:
    """Print (summary, per class) of each split, such as `{"valid": …, "test": …}`.

    The last split is shown in full; of the others Dice and the overall figures. An undefined figure
    is "–".
    """
    console = console or _console()
    console.print(_class_table(splits))
    console.print(_overall_table(splits))
    for split, (summary, _) in splits.items():
        images, defective = (int(summary[name]) for name in ("num_images", "num_defective"))
        console.print(Text(f"  {split}: {images} images, {defective} of them with a defect"))


def write_evaluation(
    folder: Path,
    names: Sequence[str],
    counts: np.ndarray,
    seed_dice: Sequence[float] | np.ndarray,
    class_names: Sequence[str],
) -> dict[str, float]:
    """Write scores.csv, scores.json, confusions.npz and figures/ into `folder`; return the summary.

    `counts` (N, C, C) int64 and `seed_dice` (N,) belong to the images `names`; the folder is called
    after the split. Besides `scores.summary`, the summary holds the mean of `seed_dice` over images
    and what predicting only background gets for it.
    """
    summary = scores.summary(counts, class_names)
    summary["dice_coef_multiclass"] = scores.mean_defined(np.asarray(seed_dice))
    summary["baseline_dice_coef_multiclass"] = scores.mean_defined(
        scores.hard_dice_coef_multiclass(scores.background_only(counts))
    )
    classes = scores.per_class(counts, class_names)
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    scores.save_counts(folder / "confusions.npz", names, counts, seed_dice, class_names)
    replace_file(folder / "scores.csv", classes.to_csv().encode())
    replace_file(folder / "scores.json", _to_json(summary).encode())
    plots.confusion_figure(
        counts.sum(axis=0), class_names, figures / "confusion.png", title=folder.name
    )
    plots.bar_figure(classes, figures / "classes.png", title=folder.name)
    return summary


def read_evaluation(folder: Path) -> Evaluation:
    """The summary and the table of classes that `write_evaluation` left in `folder`.

    Raises InputError naming every missing file, or the folder where one is damaged.
    """
    advice = (
        "expected the scores of a finished run: score it again with `flexunet evaluate run=RUN`."
    )
    paths = [folder / "scores.json", folder / "scores.csv"]
    missing = [f"{path}: no such file, {advice}" for path in paths if not path.is_file()]
    if missing:
        raise InputError(missing)
    try:
        return _read_json(paths[0]), _read_csv(paths[1])
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: scores.json or scores.csv is damaged, {advice}") from error


def pick_extremes(counts: np.ndarray, names: Sequence[str], n: int = 3) -> dict[str, list[int]]:
    """Indices of the `n` best, median and worst images by macro defect Dice, the extreme first.

    Images without defect in truth and prediction are left out; of few images none appears twice.
    Equal scores are ordered by name.
    """
    dice = scores.per_image(counts)["dice"]
    rest = sorted(dice.dropna().index, key=lambda i: (dice[i], names[i]))
    worst = rest[: min(n, math.ceil(len(rest) / 3))]
    rest = rest[len(worst) :]
    best = rest[::-1][: min(n, math.ceil(len(rest) / 2))]
    rest = rest[: len(rest) - len(best)]
    start = (len(rest) - min(n, len(rest))) // 2
    return {"best": best, "median": rest[start : start + n], "worst": worst}


def _console() -> Console:
    """Standard output, at most MAX_WIDTH columns; a file or pipe gets them all."""
    console = Console()
    if not console.is_terminal or console.width > MAX_WIDTH:
        console.width = MAX_WIDTH
    return console


def _class_table(splits: Mapping[str, Evaluation]) -> Table:
    split, (_, shown) = list(splits.items())[-1]
    table = _table(f"Scores per class ({split})", "class")
    headers = ["images", "pixels\n%", *(f"{name}\nDice" for name in splits)]
    for header in [*headers, f"{split}\nIoU", f"{split}\nprecision", f"{split}\nrecall"]:
        table.add_column(header, justify="right", no_wrap=True)
    pixels = shown["truth_pixels"]
    for name in [*shown.index[1:], shown.index[0]]:
        row = shown.loc[name]
        share = 100 * pixels[name] / pixels.sum() if pixels.sum() else math.nan
        dice = [_figure(classes["dice"][name]) for _, classes in splits.values()]
        rest = [_figure(row[figure]) for figure in ("iou", "precision", "recall")]
        table.add_row(Text(name), str(int(row["images"])), _figure(share, 3), *dice, *rest)
    return table


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column(first, overflow="fold")
    return table


def _overall_table(splits: Mapping[str, Evaluation]) -> Table:
    split, (last, _) = list(splits.items())[-1]
    table = _table("Over all classes", "figure")
    for header in [*splits, f"{split}, predicting\nonly background"]:
        table.add_column(header, justify="right", no_wrap=True)
    for label, figure, baseline in OVERALL:
        values = [_figure(summary.get(figure, math.nan)) for summary, _ in splits.values()]
        table.add_row(label, *values, _figure(last[baseline]) if baseline else "")
    return table


def _figure(value: float, digits: int = 4) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _to_json(summary: Mapping[str, float]) -> str:
    defined = {name: None if math.isnan(value) else value for name, value in summary.items()}
    return json.dumps(defined, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _read_json(path: Path) -> dict[str, float]:
    stored = json.loads(path.read_text(encoding="utf-8"))
    return {name: math.nan if value is None else float(value) for name, value in stored.items()}


def _read_csv(path: Path) -> pd.DataFrame:
    # A class may be called "none" or "nan": only an empty field is undefined.
    return pd.read_csv(
        path,
        index_col="class",
        dtype={"class": str},
        keep_default_na=False,
        na_values=[""],
    )
