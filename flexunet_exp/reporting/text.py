"""Figures and tables for the terminal."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

MAX_WIDTH = 100


def interval_text(intervals: pd.DataFrame, figure: str) -> str:
    """`0.31–0.52`, or `too few` (sources); empty for a figure without an interval."""
    if figure not in intervals.index:
        return ""
    value, low, high = intervals.loc[[figure], ["value", "low", "high"]].to_numpy(np.float64)[0]
    if math.isnan(value):
        return "–"
    return "too few" if math.isnan(low) else f"{low:.2f}–{high:.2f}"


def terminal() -> Console:
    """Standard output with at most MAX_WIDTH columns; exactly MAX_WIDTH for a file or pipe."""
    console = Console()
    if not console.is_terminal or console.width > MAX_WIDTH:
        console.width = MAX_WIDTH
    return console


def plain_table(title: str, first: str) -> Table:
    """A table without lines, whose first column is headed `first`."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column(first, overflow="fold")
    return table


def figure_text(value: float, digits: int = 4) -> str:
    """The figure as text: "–" where it is undefined, fewer digits from 10 on."""
    if math.isnan(value):
        return "–"
    if abs(value) < 10:
        return f"{value:.{digits}f}"
    return f"{value:.{min(digits, 2)}f}" if abs(value) < 100 else f"{value:,.0f}"
