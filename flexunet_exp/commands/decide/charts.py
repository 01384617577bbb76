"""The curves of a decision as SVG: defects found against false alarms, parts missed and stopped."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from flexunet_exp.decisions import curves
from flexunet_exp.reporting.plots import LINE_COLOURS

COLUMNS = 3  # of panels
LINEAR = 1  # false alarms a picture, up to which their axis is linear; logarithmic beyond
TICKS = (0, 0.5, 1, 2, 5, 10, 100, 1000, 10_000)  # of false alarms a picture
PALE, MARKED = "#9dc3e6", "#8f3f00"


def free_response(table: pd.DataFrame, chosen: dict[str, float]) -> str:
    """A panel a class with defects, as SVG; `chosen` is the threshold of each class."""
    parts = list(curves.points(table))
    rows = -(-len(parts) // COLUMNS)
    figure = Figure(figsize=(11, 3.3 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes, (name, part) in zip(panels, parts, strict=False):
        draw_curve(axes, part, "false_alarms", "found", is_better_high=True)
        spread(axes, float(part["false_alarms"].max()))
        at = np.isclose(part["threshold"], chosen.get(name, -1))
        for place, x, y in part.loc[at, ["threshold", "false_alarms", "found"]].to_numpy():
            text = f"threshold {place:.2f}:\n{x:.2f} alarms, {y:.2f} found"
            mark(axes, (float(x), float(y)), text)
        axes.set_title(f"{name} ({part['defects'].iloc[0]} defects)", fontsize=10, loc="left")
        axes.set(xlabel="false alarms a picture", ylabel="share of defects found")
    for axes in panels[len(parts) :]:
        axes.set_axis_off()
    return svg(figure)


def parts_chart(table: pd.DataFrame, chosen: tuple[float, float] | None) -> str:
    """Defective parts missed over good parts stopped, as SVG, with the chosen point."""
    figure = Figure(figsize=(5.6, 3.9), layout="constrained")
    axes = figure.add_subplot()
    draw_curve(axes, table, "stopped", "missed", is_better_high=False)
    axes.set_xlim(-0.02, 1.02)
    if chosen is not None:
        mark(axes, chosen, f"{chosen[0]:.3f} stopped,\n{chosen[1]:.3f} passed")
    axes.set(xlabel="share of good parts stopped", ylabel="share of defective parts passed")
    return svg(figure)


def draw_curve(axes: Axes, table: pd.DataFrame, x: str, y: str, is_better_high: bool) -> None:
    """All thresholds as points, and the best that one of them gets with at most so much `x`."""
    best = best_of(table, x, y, is_better_high)
    end = max(float(table[x].max()), 1e-9)
    columns = ([*best[name], best[name].iloc[-1]] for name in (y, f"{y}_low", f"{y}_high"))
    value, low, high = columns
    places = [*best[x], end]
    axes.fill_between(places, low, high, step="post", color=PALE, alpha=0.4, linewidth=0)
    axes.step(places, value, where="post", color=LINE_COLOURS[0], linewidth=1.2)
    axes.plot(table[x], table[y], ".", color=PALE)
    axes.plot(best[x], best[y], ".", color=LINE_COLOURS[0])
    axes.set_ylim(-0.03, 1.03)
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def best_of(table: pd.DataFrame, x: str, y: str, is_better_high: bool) -> pd.DataFrame:
    """The rows that no row with as little `x` is better than, by rising `x`.

    Thresholds below that of the most `x` are left out: their regions have joined, until one covers
    the picture, finds each defect in it, and is no false alarm. A line through them would run
    backwards.
    """
    apart = table["threshold"] >= table.loc[table[x] == table[x].max(), "threshold"].min()
    ordered = table[apart].sort_values([x, y], ascending=[True, not is_better_high])
    worth = ordered[y] if is_better_high else -ordered[y]
    return ordered[worth > worth.cummax().shift(fill_value=-np.inf)]


def spread(axes: Axes, most: float) -> None:
    """Gives the few false alarms that a goal can have the room, and the hundreds little."""
    if most > LINEAR:
        axes.set_xscale("symlog", linthresh=LINEAR, linscale=1.2)
    shown = [one for one in TICKS if one <= most] if most > LINEAR else [0, 0.25, 0.5, 0.75, 1]
    axes.set_xticks(shown, [f"{one:g}" for one in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(-0.06, max(most * 1.3, LINEAR))


def mark(axes: Axes, point: tuple[float, float], text: str) -> None:
    """The chosen point, with its coordinates beside it, towards the middle of the panel."""
    across = axes.transAxes.inverted().transform(axes.transData.transform(point))[0]
    is_left, is_low = across < 0.5, point[1] < 0.5
    axes.plot(*point, "o", color=LINE_COLOURS[1], zorder=3)
    axes.annotate(
        text,
        point,
        xytext=(8 if is_left else -8, 8 if is_low else -8),
        textcoords="offset points",
        ha="left" if is_left else "right",
        va="bottom" if is_low else "top",
        fontsize=8,
        color=MARKED,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.6, "pad": 1},
    )


def svg(figure: Figure) -> str:
    """The figure as an SVG element, without a date, so that the same curves are the same text."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
