"""Interactive charts, as parts of a page that contains plotly.js."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from flexunet_exp.commands.compare import tables
from flexunet_exp.commands.compare.comparison import Comparison, Judged
from flexunet_exp.commands.compare.sentences import plus_minus

MOST_TICKS = 12  # values of a setting that are named on its axis


def script() -> str:
    """plotly.js, once for all charts of a page."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def html(figure: Any, name: str) -> str:
    """The chart's part of the page."""
    return figure.to_html(
        full_html=False, include_plotlyjs=False, div_id=name, config={"displaylogo": False}
    )


def parallel(one: Judged, comparison: Comparison) -> Any | None:
    """Parallel coordinates: one axis per varying setting, then validation and test."""
    from plotly import graph_objects

    table = tables.leaderboard(one, comparison.metric, comparison.twin)
    if not one.group.varying or len(table) < 2:
        return None
    axes = [axis(key.rsplit(".", 1)[-1], table[key]) for key in one.group.varying]
    for name, title in (("val", comparison.metric), ("test", comparison.twin)):
        axes.append({"label": title, "values": table[name]})
    colour = {"color": table["val"], "colorscale": "Viridis", "showscale": True}
    lines = graph_objects.Parcoords(dimensions=axes, line=colour)
    return graph_objects.Figure(lines, layout=layout(height=430, top=70))


def axis(title: str, values: pd.Series) -> dict[str, Any]:
    """One axis: numbers in their order at equal distances, other values as in the table."""
    numbers = pd.to_numeric(values, errors="coerce")
    known = values if numbers.isna().any() else values.iloc[np.argsort(numbers, kind="stable")]
    ticks = list(dict.fromkeys(known))
    places = [ticks.index(value) for value in values]
    every = -(-len(ticks) // MOST_TICKS)
    return {
        "label": title,
        "values": places,
        "tickvals": list(range(len(ticks)))[::every],
        "ticktext": ticks[::every],
        "range": [-0.1, max(len(ticks) - 1, 1) + 0.1],
    }


def cost(one: Judged, comparison: Comparison) -> Any | None:
    """Validation and test over the minutes of the median run, one point per cell."""
    from plotly import graph_objects

    table = tables.leaderboard(one, comparison.metric, comparison.twin)
    if len(table) < 2:
        return None
    figure = graph_objects.Figure(layout=layout(height=430, top=30))
    for name, title, colour in (
        ("val", comparison.metric, "#9dc3e6"),
        ("test", comparison.twin, "#1f5fa8"),
    ):
        spread = table[f"{name}_sd"]
        texts = [
            f"#{row['rank']} {row['cell']}<br>{title} {plus_minus(row[name], row[f'{name}_sd'])}"
            for _, row in table.iterrows()
        ]
        figure.add_scatter(
            x=table["minutes"],
            y=table[name],
            error_y={"array": spread.fillna(0), "thickness": 1, "width": 2},
            mode="markers",
            name=title,
            marker={"color": colour, "size": 9},
            hovertext=texts,
            hoverinfo="text",
        )
    figure.update_xaxes(title="minutes a run, from its beginning to its end", rangemode="tozero")
    figure.update_yaxes(title="figure ± standard deviation over runs")
    return figure


def layout(height: int, top: int) -> dict[str, Any]:
    return {
        "template": "plotly_white",
        "height": height,
        "margin": {"l": 80, "r": 60, "t": top, "b": 50},
    }
