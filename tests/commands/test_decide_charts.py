"""The curves of a decision: readable at few false alarms, and never running backwards."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from flexunet_exp.commands.decide import charts

pytestmark = pytest.mark.filterwarnings("error")

# Regions fuse at the lowest two thresholds, so false alarms rise and fall again.
ALARMS = np.array([3.92, 374.0, 900.0, 20.0, 2.0, 0.5, 0.1, 0.1, 0.0])
FOUND = np.array([1.0, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.2])


def table_of(x: str, y: str, values: np.ndarray) -> pd.DataFrame:
    columns = {x: ALARMS, y: values, f"{y}_low": values - 0.1, f"{y}_high": values + 0.1}
    thresholds = np.arange(1, 10) / 20
    return pd.DataFrame({"class": "dent", "threshold": thresholds, "defects": 9} | columns)


def test_the_line_is_the_best_with_at_most_so_many_false_alarms_while_regions_are_apart():
    best = charts.best_of(table_of("false_alarms", "found", FOUND), "false_alarms", "found", True)
    assert best["false_alarms"].tolist() == [0.0, 0.1, 0.5, 2.0, 20.0, 900.0]
    assert best["found"].tolist() == [0.2, 0.5, 0.6, 0.7, 0.8, 0.9]
    missed = table_of("stopped", "missed", 1 - FOUND)
    least = charts.best_of(missed, "stopped", "missed", False)
    assert least["missed"].is_monotonic_decreasing and least["stopped"].is_monotonic_increasing


def test_the_chosen_point_has_its_coordinates_beside_it():
    table = table_of("false_alarms", "found", FOUND)
    text = charts.free_response(table, {"dent": 0.3})
    assert "threshold 0.30:" in text and "0.50 alarms, 0.60 found" in text
    assert "threshold" not in charts.free_response(table, {})
    parts = table_of("stopped", "missed", 1 - FOUND).assign(stopped=ALARMS / 900)
    assert "0.250 stopped," in charts.parts_chart(parts, (0.25, 0.1))


def test_few_false_alarms_have_most_of_the_axis():
    text = charts.free_response(table_of("false_alarms", "found", FOUND), {})
    ticks = [one for one in ("0", "0.5", "1", "2", "5", "10", "100") if f"<!-- {one} -->" in text]
    assert ticks == ["0", "0.5", "1", "2", "5", "10", "100"]
    few = table_of("false_alarms", "found", FOUND).assign(false_alarms=ALARMS / 1000)
    assert "<!-- 0.75 -->" in charts.free_response(few, {})
