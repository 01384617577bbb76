"""Charts of scores and curves, drawn by matplotlib without a screen and without global state."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from flexunet_exp.scores.curves import CurvePoints
from flexunet_exp.system.files import replace_file

BARS = (("dice", "Dice", "#1f5fa8", -0.18), ("iou", "IoU", "#9dc3e6", 0.18))
LINE_COLOURS = ("#1f5fa8", "#d1600a", "#2a8a4a", "#8a3fa0", "#7a5230", "#555555")


def curves(
    history: pd.DataFrame,
    path: Path,
    ylabel: str,
    title: str,
    *,
    best_epoch: int | None = None,
    best_by: str = "",
) -> None:
    """Write a PNG with one line a column of `history` over its index, the epochs.

    A line passes over undefined values (NaN). A vertical line marks `best_epoch`, which is best by
    the figure `best_by`: another one can be kept.
    """
    figure = Figure(figsize=(7, 4.2), dpi=100)
    axes = figure.add_axes((0.11, 0.13, 0.86, 0.77))
    for index, (name, values) in enumerate(history.items()):
        defined = values[np.isfinite(values)]
        marker = "o" if len(defined) <= 30 else None
        colour = LINE_COLOURS[index % len(LINE_COLOURS)]
        axes.plot(defined.index, defined, color=colour, marker=marker, markersize=3.5, label=name)
    if best_epoch is not None:
        # Above the grid, which has a line at each epoch of a short training.
        look: dict[str, Any] = {"color": "#666666", "linestyle": "--", "linewidth": 1.2}
        axes.axvline(best_epoch, **look, zorder=1.9)
        axes.plot([], [], **look, label=f"best {best_by}: epoch {best_epoch}".replace(" :", ":"))
    axes.set(xlabel="epoch", ylabel=ylabel)
    axes.set_title(title, fontsize=12, loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    _save(figure, path)


def confusion_figure(
    pooled: np.ndarray, class_names: Sequence[str], path: Path, *, title: str = ""
) -> None:
    """Write a PNG of the confusion matrix (C, C): per cent of each truth row, pixels beneath.

    A class without truth has a row without figures.
    """
    totals = pooled.sum(axis=1, keepdims=True)
    share = np.divide(100.0 * pooled, totals, out=np.full(pooled.shape, np.nan), where=totals > 0)
    side = 1.5 + 0.95 * len(class_names)
    figure = Figure(figsize=(side + 1, 0.8 * side + 0.6), dpi=100)
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for row, total in enumerate(totals):
        if total == 0:
            axes.text(0, row, "no truth", ha="center", va="center", color="#777777", fontsize=8)
            continue
        for column in range(len(class_names)):
            _write_cell(axes, row, column, share[row, column], int(pooled[row, column]))
    ticks = np.arange(len(class_names))
    axes.set_xticks(ticks, class_names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, class_names)
    axes.set_xticks(ticks[1:] - 0.5, minor=True)
    axes.set_yticks(ticks[1:] - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.set(xlabel="prediction", ylabel="truth")
    axes.set_title(
        _lines(title, "per cent of the true pixels of each class; beneath, the number of pixels"),
        fontsize=10,
        loc="left",
    )
    _save(figure, path, fit=True)


def bar_figure(
    per_class: pd.DataFrame, intervals: pd.DataFrame, path: Path, *, title: str = ""
) -> None:
    """Write a PNG of Dice and IoU of every defect class, with the number of images that hold it.

    `per_class` is the table of `results.class_table`, background first; `intervals` that of
    `record.intervals`, drawn as whiskers where there is one.
    """
    defects = per_class.iloc[1:]
    figure = Figure(figsize=(7.5, 1.5 + 0.55 * max(len(defects), 1)), dpi=100)
    axes = figure.add_subplot()
    places = np.arange(len(defects))
    for column, label, colour, offset in BARS:
        values, heights = defects[column], places + offset
        axes.barh(heights, values.fillna(0), 0.34, label=label, color=colour)
        for height, (name, value) in zip(heights, values.items(), strict=True):
            low, high = _whisker(intervals, f"{column}/{name}")
            axes.plot([low, high], [height, height], color="#222222", linewidth=1, marker="|")
            text = "no truth" if np.isnan(value) else f"{value:.3f}"
            at = np.nan_to_num(np.fmax(value, high)) + 0.012
            axes.text(at, height, text, va="center", fontsize=8)
    labels = [f"{name}  (n = {n})" for name, n in defects["images"].items()]
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.08)
    axes.set_xticks(np.arange(0, 1.01, 0.2))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    notes = (_baseline_caption(per_class), _interval_caption(intervals))
    axes.set_title(_lines(title, *notes), fontsize=10, loc="left")
    _save(figure, path, fit=True)


def stacked_counts(parts: Mapping[str, pd.DataFrame], path: Path, *, title: str = "") -> None:
    """Write a PNG with a panel for each part, a stacked bar for each row of the part's table."""
    labels = next(iter(parts.values())).index
    figure = Figure(figsize=(11, 1.6 + 0.38 * len(labels)), dpi=100)
    panels = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    for axes, (name, counts) in zip(panels, parts.items(), strict=True):
        left = np.zeros(len(labels))
        for column, colour in zip(counts, LINE_COLOURS, strict=False):
            axes.barh(np.arange(len(labels)), counts[column], left=left, color=colour, label=column)
            left += counts[column].to_numpy()
        for place, total in enumerate(left.astype(int)):
            axes.text(total, place, f" {total}", va="center", fontsize=8)
        axes.set_title(f"{name}: {int(left.sum())}", fontsize=10, loc="left")
        axes.set_xlim(0, 1.15 * max(1, left.max()))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(np.arange(len(labels)), labels)
    panels[0].invert_yaxis()
    panels[-1].legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    figure.tight_layout()
    _save(figure, path, fit=True)


def score_curves(
    points: CurvePoints, summary: Mapping[str, float], path: Path, *, title: str = ""
) -> None:
    """Write a PNG of the threshold-free curves, with a note where a figure is undefined.

    The curves are PRO and recall over the false positive rate, and precision over recall.
    """
    figure = Figure(figsize=(11, 3.9), dpi=100)
    left, middle, right = figure.subplots(1, 3)
    rates = "false positive rate over background pixels"
    _curve(left, points.fpr, points.pro, rates, "mean share of a defect found (PRO)")
    left.axvspan(0, 0.3, color="#9dc3e6", alpha=0.25, linewidth=0)
    left.set_title(f"AU-PRO to 30 %: {_number(summary['au_pro'])}", fontsize=10, loc="left")
    _curve(middle, points.fpr, points.recall, rates, "recall of defect pixels")
    middle.set_title(f"pixel AUROC: {_number(summary['pixel_auroc'])}", fontsize=10, loc="left")
    _curve(right, points.recall, points.precision, "recall of defect pixels", "precision")
    ap = _number(summary["average_precision"])
    right.set_title(f"average precision: {ap}", fontsize=10, loc="left")
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    figure.tight_layout()
    _save(figure, path)


def reliability_figure(
    curves: Mapping[str, Sequence[np.ndarray]], path: Path, *, title: str = ""
) -> None:
    """Write a PNG of the share of right pixels over confidence, before and after calibration.

    `curves` holds for each panel the two results of `reliability.curve`, before and after.
    """
    figure = Figure(figsize=(5.2 * len(curves), 4.4), dpi=100)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (name, both) in zip(panels, curves.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="#888888", linestyle="--", linewidth=1, label="honest")
        for label, colour, (confidence, right, share) in zip(
            ("before", "after"), LINE_COLOURS[1::-1], both, strict=True
        ):
            axes.plot(confidence, right, color=colour, linewidth=1.2, label=label)
            axes.scatter(confidence, right, 6 + 160 * share, color=colour, alpha=0.75)
        axes.set(xlabel="confidence", ylabel="share of right pixels")
        axes.set(xlim=(-0.01, 1.03), ylim=(-0.01, 1.03))
        axes.set_title(name, fontsize=10, loc="left")
        axes.grid(color="#e4e4e4", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, fontsize=9)
    note = "a dot's area is the bin's share of the pixels"
    figure.suptitle(f"{title}: calibration by temperature; {note}", fontsize=10, x=0.01, ha="left")
    figure.tight_layout()
    _save(figure, path)


def _curve(axes: Axes, x: np.ndarray, y: np.ndarray, xlabel: str, ylabel: str) -> None:
    if np.isnan(x).all() or np.isnan(y).all():
        axes.text(0.5, 0.5, "not defined: no defect, or no background", ha="center", fontsize=9)
    axes.plot(x, y, color=LINE_COLOURS[0], linewidth=1.5)
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _whisker(intervals: pd.DataFrame, figure: str) -> tuple[float, float]:
    if figure not in intervals.index:
        return np.nan, np.nan
    low, high = intervals.loc[[figure], ["low", "high"]].to_numpy(np.float64)[0]
    return low, high


def _interval_caption(intervals: pd.DataFrame) -> str:
    classes = intervals[intervals.index.str.contains("/")]
    if classes["low"].notna().any():
        return "whiskers: 95 % bootstrap intervals over sources (none below ten sources)"
    return "no intervals: fewer than ten sources a class"


def _write_cell(axes: Axes, row: int, column: int, percent: float, pixels: int) -> None:
    if pixels == 0:
        axes.text(column, row, "0", ha="center", va="center", color="#bbbbbb", fontsize=8)
        return
    colour = "white" if percent > 55 else "#222222"
    shown = "< 0.1 %" if percent < 0.1 else f"{percent:.1f} %"
    axes.text(column, row - 0.12, shown, ha="center", va="center", color=colour, fontsize=9.5)
    axes.text(column, row + 0.22, f"{pixels:,}", ha="center", va="center", color=colour, fontsize=7)


def _baseline_caption(per_class: pd.DataFrame) -> str:
    truth = per_class["truth_pixels"]
    if truth.sum() == 0:
        return "no true pixel at all"
    share = truth.iloc[0] / truth.sum()
    return f"predicting only background scores 0 on every bar, pixel accuracy {share:.4f}"


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)


def _save(figure: Figure, path: Path, fit: bool = False) -> None:
    """Write the PNG; with `fit` large enough for all labels."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format="png",
        bbox_inches="tight" if fit else None,
        pad_inches=0.15,
        pil_kwargs={"compress_level": 3},
    )
    replace_file(path, buffer.getvalue())
