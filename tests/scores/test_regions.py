"""Regions above thresholds: worked by hand, and against components labelled by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from flexunet_exp.data.masks import IGNORE
from flexunet_exp.errors import InputError
from flexunet_exp.scores import region_record, regions
from tests.support.properties import examples

CLASSES = ("background", "scratch", "dent")


def of_tenths(*rows: str) -> np.ndarray:
    """Rounded probabilities from digits: 7 is 0.7."""
    return regions.rounded(np.array([[int(one) / 10 for one in row] for row in rows]))


SCRATCH = of_tenths(
    "99000050",
    "08000000",
    "00000000",
)
DENT = of_tenths(
    "00000000",
    "00000040",
    "00040000",
)
TRUTH = np.array(
    [[1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 255, 0], [2, 0, 0, 0, 0, 0, 0, 0]], np.uint8
)
FOUND = regions.find_regions(np.stack([SCRATCH, DENT]), TRUTH)


def test_a_threshold_is_met_exactly():
    values = regions.rounded(np.array(regions.THRESHOLDS, np.float32))
    assert values.tolist() == regions.LEVELS.tolist()
    below = regions.rounded(np.nextafter(regions.THRESHOLDS, 0).astype(np.float32) - 1e-5)
    assert (below < regions.LEVELS).all()


def test_regions_of_a_picture_worked_by_hand():
    at_half = FOUND.regions[FOUND.regions[:, 1] == 9]  # the threshold 0.5
    assert at_half.tolist() == [
        [1, 9, 3, pytest.approx(2.6 / 3, abs=0.005), 0.9, False],
        [1, 9, 1, pytest.approx(0.5), 0.5, True],
    ]
    at_085 = FOUND.regions[FOUND.regions[:, 1] == 16]
    assert at_085[:, 2].tolist() == [2]
    # A dent on an ignored pixel is no false alarm, and meets no defect either.
    at_04 = FOUND.regions[(FOUND.regions[:, 1] == 7) & (FOUND.regions[:, 0] == 2)]
    assert at_04[:, 5].tolist() == [False, True]


def test_the_defects_that_a_region_meets():
    # Three scratches' pixels in one component (8 neighbours), and a dent that nothing meets.
    assert FOUND.defects.tolist() == [[1, 3], [2, 1]]
    at_half = np.flatnonzero(FOUND.regions[:, 1] == 9)[0]
    assert [row.tolist() for row in FOUND.meetings if row[0] == at_half] == [[at_half, 0, 2]]
    assert set(FOUND.meetings[:, 1]) == {0}


def test_pixels_above_thresholds_worked_by_hand():
    assert FOUND.truth_pixels.tolist() == [19, 3, 1]
    assert FOUND.above[1, 9].tolist() == [2, 2]  # scratch at 0.5: on background, on scratches
    assert FOUND.above[0, 0].tolist() == [3, 2]  # anything at 0.05: without the ignored pixel


@given(st.integers(0, 10**6))
@examples(30)
def test_regions_are_the_components_above_each_threshold(seed):
    draw = np.random.default_rng(seed)
    levels = draw.choice([0, 12, 60, 120, 200, 240], (2, 9, 11)).astype(np.uint8)
    truth = draw.choice([0, 0, 0, 1, 2, IGNORE], (9, 11)).astype(np.uint8)
    found = regions.find_regions(levels, truth)
    for index, level in enumerate(levels, start=1):
        for place, least in enumerate(regions.LEVELS):
            labels, count = ndimage.label(level >= least, np.ones((3, 3)))
            rows = found.regions[(found.regions[:, 0] == index) & (found.regions[:, 1] == place)]
            expected = sorted(
                (
                    int((labels == n).sum()),
                    float(level[labels == n].mean()) / 240,
                    float(level[labels == n].max()) / 240,
                    float(not truth[labels == n].any()),
                )
                for n in range(1, count + 1)
            )
            assert sorted(map(tuple, rows[:, 2:])) == [pytest.approx(one) for one in expected]
            pixels = found.meetings[
                np.isin(
                    found.meetings[:, 0],
                    np.flatnonzero((found.regions[:, 0] == index) & (found.regions[:, 1] == place)),
                ),
                2,
            ]
            on_defects = (truth > 0) & (truth != IGNORE)
            assert pixels.sum() == ((level >= least) & on_defects).sum()


def test_only_the_largest_regions_are_kept_and_the_others_counted():
    level = np.zeros((40, 40), np.uint8)
    level[::2, ::2] = 240  # 400 specks
    level[0, 0:20] = 240  # joins eleven of them
    truth = np.zeros((40, 40), np.uint8)
    truth[38, 38] = 1
    found = regions.find_regions(level[None], truth)
    rows = found.regions[found.regions[:, 1] == 0]
    assert len(rows) == regions.MOST_REGIONS
    assert rows[0].tolist()[5] == 0  # the one that meets a defect, although it is small
    assert rows[1, 2] == 21
    assert found.left_out[1, 0] == 390 - regions.MOST_REGIONS


def record_of(*found) -> region_record.RegionRecord:
    names = [f"picture{number}" for number in range(len(found))]
    return region_record.of_pictures(names, names, CLASSES, found)


def test_a_record_is_read_as_it_was_kept(tmp_path):
    kept = record_of(FOUND, FOUND)
    region_record.save(kept, tmp_path / "regions.npz")
    read = region_record.load(tmp_path / "regions.npz")
    assert read.classes == CLASSES
    assert read.names.tolist() == ["picture0", "picture1"]
    for name in ("truth_pixels", "above", "left_out"):
        assert np.array_equal(getattr(read, name), getattr(kept, name))
    for name in ("regions", "defects", "meetings"):
        assert getattr(read, name).equals(getattr(kept, name))


def test_pooled_records_are_the_record_of_all_pictures():
    empty = regions.find_regions(np.zeros((2, 3, 8), np.uint8), np.zeros((3, 8), np.uint8))
    whole = record_of(FOUND, empty, FOUND)
    parts = region_record.pooled([record_of(FOUND, empty), record_of(FOUND)])
    for name in ("regions", "defects", "meetings"):
        assert getattr(parts, name).equals(getattr(whole, name))
    assert parts.is_defective.tolist() == [True, False, True]


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 half a file"])
def test_a_damaged_record_is_an_error_with_what_to_do(tmp_path, content):
    if content is not None:
        (tmp_path / "regions.npz").write_bytes(content)
    with pytest.raises(InputError, match="flexunet evaluate run=RUN"):
        region_record.load(tmp_path / "regions.npz")
