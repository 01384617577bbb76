"""Objects found and false alarms: worked by hand, and against components labelled by SciPy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from flexunet_exp.data.masks import IGNORE
from flexunet_exp.scores import objects
from tests.support.properties import examples

pytestmark = pytest.mark.filterwarnings("error")

NAMES = ["background", "scratch", "dent", "crack"]


def mask(*rows: str) -> np.ndarray:
    """Class indices from digits: `.` is background, `x` ignored."""
    indices = {".": 0, "x": IGNORE, "1": 1, "2": 2, "3": 3}
    return np.array([[indices[letter] for letter in row] for row in rows], np.uint8)


TRUTH = mask(
    "11....x.",
    "..1...xx",
    "......x.",
    ".22.....",
    ".22..1..",
)
# Most of one scratch is found and nothing of the other; the dent is mostly taken for a crack. The
# scratch at the upper right is no false alarm, having ignored pixels; a dent and a crack are.
PREDICTION = mask(
    "11....11",
    "........",
    "....2...",
    ".32....3",
    ".33.....",
)


def test_objects_of_a_picture_worked_by_hand():
    table = objects.object_table(objects.find_objects("one", TRUTH, PREDICTION, NAMES))
    expected = pd.DataFrame(
        [
            ("one", "defect", "scratch", 3, 0, 0, 3, 2, 2 / 3, 2 / 3),
            ("one", "defect", "scratch", 1, 5, 4, 1, 1, 0.0, 0.0),
            ("one", "defect", "dent", 4, 1, 3, 2, 2, 1 / 4, 1.0),
            ("one", "false_alarm", "dent", 1, 4, 2, 1, 1, math.nan, math.nan),
            ("one", "false_alarm", "crack", 1, 7, 3, 1, 1, math.nan, math.nan),
        ],
        columns=table.columns,
    )
    assert table.columns[:4].tolist() == ["image", "kind", "class", "area"]
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)


def two_pictures() -> pd.DataFrame:
    """The picture above and a good one with a false alarm of two pixels."""
    good = np.zeros_like(TRUTH)
    alarm = mask(*["........"] * 4, "..33....")
    found = objects.find_objects("one", TRUTH, PREDICTION, NAMES)
    return objects.object_table(found + objects.find_objects("good", good, alarm, NAMES))


def test_figures_worked_by_hand():
    good = {"one": False, "good": True, "empty": True, "other": False}
    assert objects.object_figures(two_pictures(), good, NAMES) == pytest.approx(
        {
            "object_recall": (1 / 2 + 0) / 2,
            "object_recall/scratch": 1 / 2,
            "object_recall/dent": 0.0,
            "object_recall/crack": math.nan,
            "object_recall_any": 2 / 3,
            "false_alarms_per_image": 3 / 4,
            "false_alarms_per_good_image": 1 / 2,
            "smallest_found": 3.0,
        },
        nan_ok=True,
    )


def test_found_is_a_share_of_at_least_the_threshold():
    table = two_pictures()
    good = {"one": False, "good": True}
    quarter = objects.object_figures(table, good, NAMES, overlap=0.25)
    assert quarter["object_recall/dent"] == 1.0 and quarter["smallest_found"] == 3.0
    whole = objects.object_figures(table, good, NAMES, overlap=1.0)
    assert whole["object_recall"] == 0.0 and whole["object_recall_any"] == 1 / 3
    assert math.isnan(whole["smallest_found"])


def test_without_objects_or_images_figures_are_undefined():
    nothing = objects.object_table([])
    figures = objects.object_figures(nothing, {"one": False}, NAMES)
    assert figures.pop("false_alarms_per_image") == 0.0
    assert all(math.isnan(value) for value in figures.values())
    without_images = objects.object_figures(nothing, {}, NAMES)
    assert all(math.isnan(value) for value in without_images.values())


def test_tables_of_pictures_concatenate_whether_or_not_they_have_objects():
    table = two_pictures()
    both = pd.concat([objects.object_table([]), table], ignore_index=True)
    pd.testing.assert_frame_equal(both, table)


def test_counts_are_by_picture_and_class_and_can_be_resampled():
    counts = objects.object_counts(two_pictures(), ["good", "one"], NAMES)
    assert counts.dtype == np.int64
    assert counts.tolist() == [[[0, 0]] * 3, [[2, 1], [1, 0], [0, 0]]]
    other = np.array([[[4, 4], [0, 0], [1, 0]]])
    weights = np.array([[1, 1, 0], [0, 1, 2], [3, 0, 0]])
    recall = objects.object_recall(np.concatenate([counts, other]), weights)
    expected = [1 / 4, (9 / 10 + 0 + 0) / 3, math.nan]
    assert recall.tolist() == pytest.approx(expected, nan_ok=True)
    assert objects.false_alarm_counts(two_pictures(), ["good", "one"]).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("names", "classes"),
    [(["one"], NAMES[:2]), (["other", "good"], NAMES), (["one", "one", "good"], NAMES)],
)
def test_objects_of_an_unknown_picture_or_class_are_refused(names, classes):
    with pytest.raises(ValueError):
        objects.object_counts(two_pictures(), names, classes)
    if classes == NAMES:
        with pytest.raises(ValueError):
            objects.false_alarm_counts(two_pictures(), names)


def test_another_shape_is_refused():
    with pytest.raises(ValueError):
        objects.find_objects("one", TRUTH, PREDICTION[:3], NAMES)


@examples(40)
@given(st.integers(0, 2**32), st.floats(0.02, 0.5))
def test_objects_are_the_components_of_each_class(seed, density):
    draw = np.random.default_rng(seed)
    truth, prediction = (
        np.where(draw.random((19, 16)) < density, draw.integers(1, 4, (19, 16)), 0).astype(np.uint8)
        for _ in range(2)
    )
    truth[draw.random(truth.shape) < 0.05] = IGNORE
    expected = []
    for index, name in enumerate(NAMES[1:], start=1):
        for kind, classes in (("defect", truth), ("false_alarm", prediction)):
            labels, _ = ndimage.label(classes == index, np.ones((3, 3)))
            for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
                pixels = labels == label
                width, height = columns.stop - columns.start, rows.stop - rows.start
                box = columns.start, rows.start, width, height
                shares = (prediction[pixels] == index).mean(), (prediction[pixels] > 0).mean()
                if kind == "defect":
                    expected.append(("it", kind, name, pixels.sum(), *box, *shares))
                elif not truth[pixels].any():
                    expected.append(("it", kind, name, pixels.sum(), *box))
    found = objects.find_objects("it", truth, prediction, NAMES)
    shown = [row if row.kind == "defect" else row[:8] for row in found]
    assert sorted(shown) == sorted(tuple(row) for row in expected)
