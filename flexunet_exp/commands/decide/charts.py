"""The curves of a decision as SVG: defects found against false alarms, parts missed and stopped."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flexunet_exp.decisions import curves
from flexunet_exp.reporting.plots import LINE_COLOURS

COLUMNS = 3  # of panels


def free_response(table: pd.DataFrame, chosen: dict[str, float]) -> str:
    """A panel a class with defects, as SVG; `chosen` is the threshold of each class."""
    parts = list(curves.points(table))
    rows = -(-len(parts) // COLUMNS)
    figure = Figure(figsize=(11, 3.3 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes, (name, part) in zip(panels, parts, strict=False):
        x = part["false_alarms"].to_numpy()
        draw_curve(axes, x, part["found"], part["found_low"], part["found_high"])
        at = np.flatnonzero(np.isclose(part["threshold"], chosen.get(name, -1)))
        axes.plot(x[at], part["found"].to_numpy()[at], "o", color=LINE_COLOURS[1], zorder=3)
        axes.set_title(f"{name} ({part['defects'].iloc[0]} defects)", fontsize=10, loc="left")
        axes.set(xlabel="false alarms a picture", ylabel="share of defects found")
        axes.set_ylim(-0.02, 1.02)
    for axes in panels[len(parts) :]:
        axes.set_axis_off()
    return svg(figure)


def parts_chart(table: pd.DataFrame, chosen: tuple[float, float] | None) -> str:
    """Defective parts missed over good parts stopped, as SVG, with the chosen point."""
    figure = Figure(figsize=(5.6, 3.9), layout="constrained")
    axes = figure.add_subplot()
    x = table["stopped"].to_numpy()
    draw_curve(axes, x, table["missed"], table["missed_low"], table["missed_high"])
    if chosen is not None:
        axes.plot(*chosen, "o", color=LINE_COLOURS[1], zorder=3)
    axes.set(xlabel="share of good parts stopped", ylabel="share of defective parts passed")
    axes.set_ylim(-0.02, 1.02)
    return svg(figure)


def draw_curve(
    axes: Axes, x: np.ndarray, value: pd.Series, low: pd.Series, high: pd.Series
) -> None:
    """A curve with its band, in the order of the thresholds."""
    # Several thresholds can have one x: the band spans all of them, from left to right.
    band = pd.DataFrame({"low": low.to_numpy(), "high": high.to_numpy()}).groupby(x)
    lowest, highest = band["low"].min(), band["high"].max()
    axes.fill_between(lowest.index, lowest, highest, color="#9dc3e6", alpha=0.4, linewidth=0)
    axes.plot(x, value, color=LINE_COLOURS[0], marker=".", linewidth=1.2)
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def svg(figure: Figure) -> str:
    """The figure as an SVG element, without a date, so that the same curves are the same text."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
