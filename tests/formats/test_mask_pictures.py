"""Masks that are pictures already: which label each grey value becomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.data.annotations.formats.mask_pictures import bright_half, from_value_on
from flexunet_exp.data.annotations.formats.public import by_table
from flexunet_exp.errors import InputError


@pytest.fixture
def mask(tmp_path):
    """A mask file (1, N) of values."""

    def write(*values: int, name: str = "mask.png") -> Path:
        Image.fromarray(np.array([values], np.uint8)).save(tmp_path / name)
        return tmp_path / name

    return write


def read(one) -> list[int]:
    return one.read().ravel().tolist()


def test_values_become_the_labels_of_a_table_in_its_order(mask):
    one = by_table(mask(0, 240, 7, 240), {240: "scratch", 7: "dent"})

    assert one.labels == ("scratch", "dent")
    assert read(one) == [0, 1, 2, 1]


def test_two_values_of_one_label_are_one(mask):
    assert read(by_table(mask(1, 2, 3), {1: "a", 2: "b", 3: "a"})) == [1, 2, 1]


def test_a_value_that_a_table_lacks_is_an_error_that_lists_it_and_its_pixels(mask):
    with pytest.raises(InputError, match=r": 9 \(2 px\), 255 \(1 px\)\. Expected 0, 1 bent"):
        by_table(mask(0, 1, 9, 9, 255), {1: "bent"}).read()


def test_many_strange_values_are_counted(mask):
    with pytest.raises(InputError, match="and 12 more. Expected 0, 1 bent"):
        by_table(mask(*range(100, 120)), {1: "bent"}).read()


def test_a_mask_that_must_be_black_is(mask):
    assert read(by_table(mask(0, 0), {})) == [0, 0]
    with pytest.raises(InputError, match=r"no class: 3 \(1 px\)\. Expected 0\."):
        by_table(mask(0, 3), {}).read()


def test_soft_edges_are_cut_at_128(mask):
    assert read(from_value_on(mask(0, 1, 127, 128, 255), "crack")) == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0, 1), [0, 1]),
        ((0, 255), [0, 1]),
        ((0, 127, 128, 255), [0, 0, 1, 1]),
        ((0, 0), [0, 0]),
        ((0, 1, 2), [0, 1, 1]),
    ],
)
def test_masks_of_two_values_count_from_half_of_the_brightest(mask, values, expected):
    assert read(bright_half(mask(*values), "defect")) == expected


def test_a_palette_is_read_by_its_index(tmp_path):
    picture = Image.fromarray(np.array([[0, 2]], np.uint8), "P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 255, 255, 0])
    picture.save(tmp_path / "mask.png")

    assert read(by_table(tmp_path / "mask.png", {2: "hole"})) == [0, 1]


def test_bmp_masks_are_read(mask):
    assert read(bright_half(mask(0, 255, name="mask.bmp"), "defect")) == [0, 1]


def test_a_mask_of_colours_is_refused(tmp_path):
    colours = np.zeros((2, 2, 3), np.uint8)
    colours[0, 0] = 255, 0, 0
    Image.fromarray(colours).save(tmp_path / "mask.png")

    with pytest.raises(InputError, match="a mask of colours, expected one grey value"):
        bright_half(tmp_path / "mask.png", "defect").read()
