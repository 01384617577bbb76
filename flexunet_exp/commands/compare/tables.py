"""The tables of a comparison, with every figure at full precision: for CSV, page and terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from flexunet_exp.commands.compare.cells import (
    DATASET,
    LESS_IS_BETTER,
    UNSET,
    Cell,
    label,
    varying_keys,
)
from flexunet_exp.commands.compare.comparison import Comparison, Judged


def all_leaderboards(comparison: Comparison) -> pd.DataFrame:
    """The leaderboards of all groups in one table."""
    metric, twin = comparison.metric, comparison.twin
    return together([leaderboard(one, metric, twin) for one in comparison.groups])


def all_pairs(comparison: Comparison) -> pd.DataFrame:
    """The pairs of all groups in one table."""
    return together([pairs(one) for one in comparison.groups])


def together(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def leaderboard(one: Judged, metric: str, twin: str) -> pd.DataFrame:
    """One row per cell, best first: varying settings, figures by validation and test, cost.

    `pooled` is the test figure of the counts, or parts, pooled over folds; `low` and `high` are the
    interval of the share missed. `seed_sd` is the standard deviation over seeds of the pooled macro
    Dice, or of the share missed. These and `parameters` are of leaders only. `of_first` is a
    leader's verdict on test against the first.
    """
    return pd.DataFrame([row(one, place, metric, twin) for place in range(len(one.group.cells))])


def row(one: Judged, place: int, metric: str, twin: str) -> dict[str, object]:
    cell, evidence = one.group.cells[place], one.leaders.get(place)
    pooled = evidence.pooled if evidence else {}
    names = evidence.classes[1:] if evidence else class_names(cell)
    val, test = cell.values(metric), cell.values(twin)
    per_class = {
        f"dice/{name}": pooled.get(f"dice/{name}", mean(cell.values(f"test/dice/{name}")))
        for name in names
    }
    missed = one.missed.get(place)
    interval = {"low": missed.low, "high": missed.high} if missed else {}
    return {
        "group": one.group.name,
        "rank": place + 1,
        "partial": one.group.is_partial(cell),
        "cell": one.group.label(cell),
        **{key: cell.settings.get(key, UNSET) for key in one.group.varying},
        "runs": len(cell.trials),
        "val": mean(val),
        "val_sd": deviation(val),
        "test": mean(test),
        "test_sd": deviation(test),
        "pooled": missed.value if missed else pooled.get(twin.removeprefix("test/"), np.nan),
        **interval,
        "seed_sd": (missed or evidence).spread if evidence else np.nan,
        "of_first": one.of_first(place),
        **per_class,
        "minutes": cell.minutes,
        "parameters": evidence.parameters if evidence else None,
    }


def class_names(cell: Cell) -> list[str]:
    names = {name for _, classes in cell.test_sets for name in classes}
    return sorted(names - {"background"})


def mean(values: np.ndarray) -> float:
    """The mean of the defined values; NaN if there is none."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def deviation(values: np.ndarray) -> float:
    """The standard deviation over runs; NaN with one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def pairs(one: Judged) -> pd.DataFrame:
    """One row per pair of leaders: the difference of their figure on test, the verdict."""
    columns = ["group", "first", "second", "difference", "low", "high", "p", "holm", "sources"]
    rows = []
    for pair in one.pairs:
        names = [one.group.name, one.label(pair.first), one.label(pair.second)]
        figures = pair.result[:4] if pair.result else [np.nan] * 4
        number = pair.result.num_sources if pair.result else 0
        rows.append([*names, *figures, pair.holm, number, pair.verdict, pair.because])
    return pd.DataFrame(rows, columns=[*columns, "verdict", "because"])


def effects(one: Judged, metric: str, twin: str) -> pd.DataFrame:
    """Main effects: for each value of a varying setting, the mean figures over its cells.

    Partial cells are left out. In a full grid every value is combined with the same other values.
    In any other design the mean of a value also contains the effects of the values beside it.
    """
    cells = [cell for cell in one.group.cells if not one.group.is_partial(cell)]
    rows = []
    for key in varying_keys([cell.settings for cell in cells]):
        for value in dict.fromkeys(cell.settings.get(key, UNSET) for cell in cells):
            having = [cell for cell in cells if cell.settings.get(key, UNSET) == value]
            val, test = ([mean(cell.values(name)) for cell in having] for name in (metric, twin))
            rows.append([one.group.name, key, value, len(having), mean_of(val), mean_of(test)])
    return pd.DataFrame(rows, columns=["group", "setting", "value", "cells", "val", "test"])


def mean_of(values: Sequence[float]) -> float:
    return mean(np.array(values))


def across(comparison: Comparison) -> pd.DataFrame:
    """Test figure of every recipe (row) in every group (column), with the mean of whole rows.

    A recipe is what varies within groups, without the data set. A setting that is the same in a
    whole group, such as its epochs, is not part of the recipe. Empty if there is only one group.
    """
    if len(comparison.groups) < 2:
        return pd.DataFrame()
    keys = [
        key
        for key in dict.fromkeys(key for one in comparison.groups for key in one.group.varying)
        if key != DATASET
    ]
    columns: dict[str, dict[str, float]] = {}
    for one in comparison.groups:
        column = columns.setdefault(one.group.name, {})
        for cell in one.group.cells:
            if not one.group.is_partial(cell):
                column.setdefault(label(cell.settings, keys), mean(cell.values(comparison.twin)))
    table = pd.DataFrame(columns)
    table["mean"] = table.mean(axis=1, skipna=False)
    is_less_better = comparison.metric in LESS_IS_BETTER
    return table.sort_values("mean", ascending=is_less_better, kind="stable").rename_axis("recipe")


def left_out(comparison: Comparison) -> pd.DataFrame:
    """One row per run that is not ranked, and why."""
    rows = [[trial.name, trial.run_id, reason] for trial, reason in comparison.left_out]
    return pd.DataFrame(rows, columns=["run", "id", "why"])
