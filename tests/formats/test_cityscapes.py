"""Label ids in the folders of Cityscapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flexunet_exp.data.annotations.formats.cityscapes import Cityscapes
from tests.support import exports


def exported(folder: Path, *values: int, table: str | None = None) -> Path:
    mask = np.zeros((4, 6), np.uint8)
    mask[0, : len(values)] = values
    exports.save(folder / "leftImg8bit/train/ulm/ulm_1_leftImg8bit.png", (4, 6))
    exports.save(folder / "gtFine/train/ulm/ulm_1_gtFine_labelIds.png", mask)
    exports.save(folder / "gtFine/train/ulm/ulm_1_gtFine_color.png", np.zeros((4, 6, 3), np.uint8))
    if table is not None:
        exports.write(folder / "label_colors.txt", table)
    return folder


def test_datumaros_numbers_begin_with_a_background_that_its_table_lacks() -> None:
    export = exports.read(Cityscapes(), exports.FILES / "cityscapes")
    assert [one.name for one in export.classes] == ["scratch", "dent"]
    drawn = exports.mask(export, "train/a_leftImg8bit.png")
    assert drawn[:, 0].tolist() == [0, 0, 1, 1, 0, 2, 0, 0]
    assert {one.split for one in export.pictures} == {"train", "valid"}


def test_the_black_label_is_the_background(tmp_path: Path) -> None:
    table = "0 0 0 base\n255 0 0 deep scratch\n0 0 255 dent\n"
    export = exports.read(Cityscapes(), exported(tmp_path, 1, 2, table=table))
    assert [one.name for one in export.classes] == ["deep scratch", "dent"]
    assert exports.mask(export, "leftImg8bit.png")[0].tolist() == [1, 2, 0, 0, 0, 0]


def test_without_a_table_the_labels_are_those_of_cityscapes(tmp_path: Path) -> None:
    export = exports.read(Cityscapes(), exported(tmp_path, 7, 33, 3, 255))
    drawn = exports.mask(export, "leftImg8bit.png")
    names = [export.classes[value - 1].name for value in drawn[0, :2]]
    assert names == ["road", "bicycle"]
    assert drawn[0, 2:].tolist() == [255] * 4  # static, license plate, unlabelled: not scored
    assert "those of Cityscapes" in export.notes[0]


def test_pictures_without_a_mask_are_not_labelled(tmp_path: Path) -> None:
    exports.save(tmp_path / "leftImg8bit/test/ulm/ulm_2_leftImg8bit.png", (4, 6))
    one = exports.named(
        exports.read(Cityscapes(), exported(tmp_path, table="scratch\n")), "ulm_2_leftImg8bit.png"
    )
    assert not one.done
    assert one.split == "test"


def test_numbers_without_a_label_are_listed(tmp_path: Path) -> None:
    export = exports.read(Cityscapes(), exported(tmp_path, 1, 9, 9, table="scratch\n"))
    (problem,) = exports.draw(export, "leftImg8bit.png").problems
    assert "values of no class: 9 (2 px)" in problem


@pytest.mark.parametrize("line", ["1 2 scratch", "1 2 x scratch"])
def test_damaged_lines_are_named(tmp_path: Path, line: str) -> None:
    (problem,) = exports.problems_of(
        Cityscapes(), exported(tmp_path, table=f"0 0 0 base\n{line}\n")
    )
    assert problem.startswith("label_colors.txt:2: found")


def test_two_tables_are_a_problem(tmp_path: Path) -> None:
    exported(tmp_path, table="scratch\n")
    exports.write(tmp_path / "gtFine/label_colors.txt", "dent\n")
    (problem,) = exports.problems_of(Cityscapes(), tmp_path)
    assert "several tables of labels" in problem
