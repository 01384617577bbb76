"""Pictures show every class at its place; figures are whole PNG files, whatever the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from flexunet_exp.reporting import plots
from flexunet_exp.scores import confusions
from flexunet_exp.scores.curves import CurvePoints

pytestmark = pytest.mark.filterwarnings("error")

NO_INTERVALS = pd.DataFrame(columns=["value", "low", "high", "sources"], index=pd.Index([], str))
NAMES = ["background", "scratch", "dent"]
PALETTE = np.array([(0, 0, 0), (255, 0, 0), (128, 128, 128)], np.uint8)


def picture(path) -> np.ndarray:
    with Image.open(path) as file:
        return np.array(file.convert("RGB"))


def line_pixels(path, colour: str) -> int:
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((picture(path) == rgb).all(axis=-1).sum())


@pytest.mark.parametrize("epochs", [1, 2, 12, 200])
def test_curves_show_a_line_for_every_column(tmp_path, epochs):
    path = tmp_path / "curves.png"
    index = range(1, epochs + 1)
    history = pd.DataFrame(
        {"train": [1 / e for e in index], "valid": [2 / e for e in index]}, index
    )
    plots.curves(history, path, "loss", "loss")
    for colour in plots.LINE_COLOURS[:2]:
        legend_alone = 30
        assert line_pixels(path, colour) > legend_alone
    assert line_pixels(path, plots.LINE_COLOURS[2]) == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["curves.png"]


def test_curves_mark_the_best_epoch(tmp_path):
    history = pd.DataFrame({"valid": [0.1, 0.5, 0.4]}, index=[1, 2, 3])
    plots.curves(history, tmp_path / "without.png", "Dice", "Dice")
    plots.curves(history, tmp_path / "with.png", "Dice", "Dice", best_epoch=2)
    pictures = [picture(tmp_path / name) for name in ("with.png", "without.png")]
    changed = (pictures[0] != pictures[1]).any(axis=-1)
    middle = changed.shape[1] * 54 // 100
    assert changed[:, middle - 2 : middle + 3].any(axis=1).sum() > 150
    assert not changed[:, : middle - 2].any()


def test_the_line_of_the_best_epoch_is_above_a_grid_line(tmp_path):
    history = pd.DataFrame({"valid": [0.1, 0.5, 0.4]}, index=[1, 2, 3])
    plots.curves(history, tmp_path / "with.png", "Dice", "Dice", best_epoch=2, best_by="val_dice")
    middle = picture(tmp_path / "with.png").shape[1] * 54 // 100
    columns = picture(tmp_path / "with.png")[50:360, middle - 3 : middle + 4].astype(int)
    darkest = columns.max(axis=2).min(axis=1)
    assert (darkest < 0xB0).mean() > 0.4  # of a dashed line; the grid has 0xe4


def test_curves_with_gaps_keep_their_line(tmp_path):
    gaps = pd.DataFrame({"valid": [0.1, np.nan, np.inf, 0.4]}, index=[1, 2, 3, 4])
    plots.curves(gaps, tmp_path / "gaps.png", "Dice", "Dice")
    plots.curves(gaps.dropna().iloc[[0, -1]], tmp_path / "ends.png", "Dice", "Dice")
    np.testing.assert_array_equal(picture(tmp_path / "gaps.png"), picture(tmp_path / "ends.png"))


def test_curves_without_any_defined_value_are_still_a_picture(tmp_path):
    plots.curves(pd.DataFrame({"valid": [np.nan]}, [1]), tmp_path / "none.png", "Dice", "Dice")
    assert picture(tmp_path / "none.png").shape == (420, 700, 3)


def counts_of(num_classes: int) -> np.ndarray:
    counts = np.random.default_rng(1).integers(0, 10**7, (2, num_classes, num_classes))
    counts[:, -1] = 0
    return counts


@pytest.mark.parametrize("num_classes", [2, 9])
def test_figures_of_scores_grow_with_their_labels(tmp_path, num_classes):
    counts = counts_of(num_classes)
    sizes = {}
    for label in ("dent", "a defect with a name of unusual length"):
        names = [f"{label} {index}" for index in range(num_classes)]
        plots.confusion_figure(counts.sum(axis=0), names, tmp_path / "c.png", title="test")
        classes = confusions.per_class(counts, names)
        plots.bar_figure(classes, NO_INTERVALS, tmp_path / "b.png", title="test")
        for name in ("c.png", "b.png"):
            drawn = picture(tmp_path / name)
            edges = [drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]]
            assert all((edge == 255).all() for edge in edges), "something is cut at the edge"
            sizes[label, name] = drawn.shape[1]
    for name in ("c.png", "b.png"):
        short, long = (width for (_, key), width in sizes.items() if key == name)
        assert long > short


def test_the_baseline_is_named_beneath_the_title():
    counts = np.array([[[90, 5], [1, 4]]])
    note = plots._baseline_caption(confusions.per_class(counts, ["background", "scratch"]))
    assert note.endswith("pixel accuracy 0.9500")
    empty = plots._baseline_caption(confusions.per_class(counts * 0, ["background", "scratch"]))
    assert empty == "no true pixel at all"


def test_an_interval_is_a_whisker_at_its_place(tmp_path):
    counts = np.array([[[90, 5], [1, 4]]])
    classes = confusions.per_class(counts, ["background", "scratch"])
    wide = pd.DataFrame({"value": 0.57, "low": 0.1, "high": 0.95}, index=["dice/scratch"])
    plots.bar_figure(classes, wide, tmp_path / "with.png", title="test")
    plots.bar_figure(classes, NO_INTERVALS, tmp_path / "without.png", title="test")
    dark = [
        (picture(tmp_path / f"{name}.png") == 0x22).all(axis=-1) for name in ("with", "without")
    ]
    longest = [run.sum(axis=1).max() for run in dark]
    assert longest[0] > longest[1] + 100


def test_curves_of_scores_follow_their_points(tmp_path):
    line = np.linspace(0, 1, 50)
    points = CurvePoints(fpr=line, pro=line**0.2, recall=line**0.5, precision=1 - line / 2)
    figures = {"au_pro": 0.7, "pixel_auroc": 0.8, "average_precision": np.nan}
    plots.score_curves(points, figures, tmp_path / "curves.png", title="test")
    assert line_pixels(tmp_path / "curves.png", plots.LINE_COLOURS[0]) > 500


def test_curves_that_are_not_defined_say_so(tmp_path):
    nothing = np.full(3, np.nan)
    points = CurvePoints(nothing, nothing, nothing, nothing)
    undefined = dict.fromkeys(("au_pro", "pixel_auroc", "average_precision"), np.nan)
    plots.score_curves(points, undefined, tmp_path / "none.png", title="test")
    assert line_pixels(tmp_path / "none.png", plots.LINE_COLOURS[0]) == 0


def test_stacked_counts_show_each_column_as_far_as_it_goes(tmp_path):
    counts = pd.DataFrame({"originals": [10, 0], "variants": [30, 0]}, index=["bent", "good"])
    parts = {"train": counts, "test": counts * 0}
    plots.stacked_counts(parts, tmp_path / "bars.png", title="grid")
    first, second = (line_pixels(tmp_path / "bars.png", c) for c in plots.LINE_COLOURS[:2])
    plots.stacked_counts({"train": counts * 0}, tmp_path / "none.png", title="grid")
    keys = [line_pixels(tmp_path / "none.png", c) for c in plots.LINE_COLOURS[:2]]
    assert 2.8 < (second - keys[1]) / (first - keys[0]) < 3.2
