"""A comparison as text: formatted figures, and the sentences with the verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from flexunet_exp.commands.compare import tables
from flexunet_exp.commands.compare.comparison import (
    BETTER,
    TIE,
    UNKNOWN,
    WORSE,
    Comparison,
    Judged,
    Pair,
)
from flexunet_exp.reporting.text import figure_text

Shown = list[tuple[str, list[str], list[Any]]]  # of each column: header, texts, sort keys
OF_FIRST = {TIE: "tie", BETTER: "better", WORSE: "worse", UNKNOWN: "?", "": ""}


def plus_minus(mean: float, deviation: float, digits: int = 3) -> str:
    if math.isnan(deviation):
        return figure_text(mean, digits)
    return f"{figure_text(mean, digits)} ± {figure_text(deviation, digits)}"


def signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.3f}"


def interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{signed(low)} to {signed(high)}"


def span(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{low:.3f} to {high:.3f}"


def chance(p: float) -> str:
    if math.isnan(p):
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def shown_leaderboard(one: Judged, comparison: Comparison, settings: Sequence[str]) -> Shown:
    """The columns of a leaderboard that are not empty: rank, `settings`, figures, cost.

    `cell` in `settings` is the cell's label. The Dice of each class is in `shown_classes`.
    """
    table = tables.leaderboard(one, comparison.metric, comparison.twin)
    stars = ["*" if partial else "" for partial in table["partial"]]
    ranks = [f"{rank}{star}" for rank, star in zip(table["rank"], stars, strict=True)]
    columns: Shown = [("#", ranks, table["rank"].tolist())]
    columns += [
        (key.rsplit(".", 1)[-1], table[key].astype(str).tolist(), table[key].tolist())
        for key in settings
    ]
    columns.append(("runs", table["runs"].astype(str).tolist(), table["runs"].tolist()))
    for name, header in (("val", comparison.metric), ("test", comparison.twin)):
        pairs = zip(table[name], table[f"{name}_sd"], strict=True)
        columns.append((header, [plus_minus(*pair) for pair in pairs], table[name].tolist()))
    for name, header in (("pooled", "pooled"), ("seed_sd", "seeds ±")):
        if one.has_folds and table[name].notna().any():
            texts = ["" if math.isnan(value) else figure_text(value, 3) for value in table[name]]
            columns.append((header, texts, table[name].tolist()))
    if one.missed:
        spans = [span(*pair) for pair in zip(table["low"], table["high"], strict=True)]
        columns.append(("95 % on test", spans, table["low"].tolist()))
    if one.pairs:
        marks = [OF_FIRST[mark] for mark in table["of_first"]]
        columns.append(("to #1", marks, marks))
    minutes = [figure_text(value, 1) for value in table["minutes"]]
    columns.append(("min", minutes, table["minutes"].tolist()))
    counts = ["" if pd.isna(value) else f"{int(value):,}" for value in table["parameters"]]
    columns.append(("params", counts, table["parameters"].tolist()))
    return columns


def shown_classes(one: Judged, comparison: Comparison) -> Shown:
    """Test Dice of every class (row) by every leader (column), pooled over folds."""
    table = tables.leaderboard(one, comparison.metric, comparison.twin).iloc[list(one.leaders)]
    names = [name for name in table.columns if name.startswith("dice/")]
    columns: Shown = [("class", [name.removeprefix("dice/") for name in names], names)]
    for _, row in table.iterrows():
        texts = [figure_text(row[name], 3) for name in names]
        columns.append((f"#{row['rank']}", texts, row[names].tolist()))
    return columns


def shown_pairs(one: Judged) -> Shown:
    table = tables.pairs(one)
    first, second = (
        [f"#{place + 1} {one.label(place)}" for place in places]
        for places in zip(*((pair.first, pair.second) for pair in one.pairs), strict=True)
    )
    spans = [interval(*pair) for pair in zip(table["low"], table["high"], strict=True)]
    judged = verdicts(one.pairs)
    return [
        ("first", first, first),
        ("second", second, second),
        ("difference", list(map(signed, table["difference"])), table["difference"].tolist()),
        ("95 % interval", spans, table["low"].tolist()),
        ("p", list(map(chance, table["p"])), table["p"].tolist()),
        ("p, Holm", list(map(chance, table["holm"])), table["holm"].tolist()),
        ("sources", table["sources"].astype(str).tolist(), table["sources"].tolist()),
        ("the first is", judged, judged),
    ]


def verdicts(pairs: Sequence[Pair]) -> list[str]:
    return [f"{pair.verdict}: {pair.because}" if pair.because else pair.verdict for pair in pairs]


def shown_frame(table: pd.DataFrame) -> Shown:
    """Any table as it is: numbers as figures."""
    return [
        (
            str(name),
            [figure_text(v, 3) if isinstance(v, float) else str(v) for v in values],
            values.tolist(),
        )
        for name, values in table.items()
    ]


def sentences(one: Judged, comparison: Comparison) -> Iterator[str]:
    """Which cell leads, by how much, and whether the difference is more than chance."""
    best = tables.leaderboard(one, comparison.metric, comparison.twin).iloc[0]
    runs = f"{best['runs']} runs" if best["runs"] > 1 else "one run"
    pooled = f", pooled {figure_text(best['pooled'], 3)}" if one.has_folds else ""
    yield (
        f"First by {comparison.metric} is {best['cell']} "
        f"({plus_minus(best['val'], best['val_sd'])} over {runs}; {comparison.twin} "
        f"{plus_minus(best['test'], best['test_sd'])}{pooled})."
    )
    against = one.against_first
    if len(one.group.cells) == 1:
        yield "There is no other cell to compare it with."
    elif not against:
        yield (
            "It was not compared with another cell. A comparison needs top=2 or more, and the "
            "files of both cells in the store."
        )
    else:
        name = f"#{against[0].second + 1}, {one.label(against[0].second)}"
        yield of_pair(against[0], name, comparison.tested_figure)
    if len(against) > 1:
        yield counted(against)


def of_pair(pair: Pair, name: str, figure: str) -> str:
    """The verdict on the first cell against another one, by a figure on test."""
    result = pair.result
    if result is None or pair.verdict == UNKNOWN:
        return f"Against {name}: no verdict ({pair.because})."
    how = {
        BETTER: "better by more than chance",
        WORSE: "worse by more than chance, although it is first by validation",
        TIE: "a tie: no more than chance",
    }[pair.verdict]
    return (
        f"On test its {figure} differs by {signed(result.difference)} from that of {name} "
        f"(95 % interval {interval(result.low, result.high)} over the same "
        f"{result.num_sources} sources, p {chance(pair.holm)} after Holm): {how}."
    )


def counted(against: Sequence[Pair]) -> str:
    number = {verdict: [p.verdict for p in against].count(verdict) for verdict in OF_FIRST}
    parts = [
        f"better than {number[BETTER]}" if number[BETTER] else "",
        f"tied with {number[TIE]}" if number[TIE] else "",
        f"worse than {number[WORSE]}" if number[WORSE] else "",
        f"without a verdict on {number[UNKNOWN]}" if number[UNKNOWN] else "",
    ]
    return f"Of the {len(against)} other leaders it is {', '.join(filter(None, parts))}."
