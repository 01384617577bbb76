"""The tables of a comparison, with every figure at full precision: for CSV, page and terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from flexunet_exp.commands.compare.cells import DATASET, UNSET, Cell, label, varying_keys
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
    """A row a cell, best first: what varies, figures by validation and test, cost.

    `pooled` is the test figure of the counts pooled over folds, `seed_sd` the standard deviation of
    the pooled macro Dice over seeds, both and `parameters` of leaders alone. `of_first` says how a
    leader does on test against the first.
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
        "pooled": pooled.get(twin.removeprefix("test/"), np.nan),
        "seed_sd": evidence.spread if evidence else np.nan,
        "of_first": one.of_first(place),
        **per_class,
        "minutes": cell.minutes,
        "parameters": evidence.parameters if evidence else None,
    }


def class_names(cell: Cell) -> list[str]:
    names = {name for _, classes in cell.test_sets for name in classes}
    return sorted(names - {"background"})


def mean(values: np.ndarray) -> float:
    """The mean of those that are defined; NaN where none is."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def deviation(values: np.ndarray) -> float:
    """The standard deviation over runs; NaN with one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def pairs(one: Judged) -> pd.DataFrame:
    """A row a pair of leaders: the difference of their macro Dice on test, and the verdict."""
    columns = ["group", "first", "second", "difference", "low", "high", "p", "holm", "sources"]
    rows = []
    for pair in one.pairs:
        names = [one.group.name, one.label(pair.first), one.label(pair.second)]
        figures = pair.result[:4] if pair.result else [np.nan] * 4
        number = pair.result.num_sources if pair.result else 0
        rows.append([*names, *figures, pair.holm, number, pair.verdict, pair.because])
    return pd.DataFrame(rows, columns=[*columns, "verdict", "because"])


def effects(one: Judged, metric: str, twin: str) -> pd.DataFrame:
    """Main effects: the mean figures over the cells that have each value of what varies.

    Cells that others do not compare with are left out. In a full grid every value meets the same
    others; in any other design its mean also holds what it happened to meet.
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

    A recipe is what varies within groups, the data set aside; settings that go with a group (its
    epochs, say) are no part of it. Empty where there is one group.
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
    return table.sort_values("mean", ascending=False, kind="stable").rename_axis("recipe")


def left_out(comparison: Comparison) -> pd.DataFrame:
    """A row a run that is not ranked, and why."""
    rows = [[trial.name, trial.run_id, reason] for trial, reason in comparison.left_out]
    return pd.DataFrame(rows, columns=["run", "id", "why"])
