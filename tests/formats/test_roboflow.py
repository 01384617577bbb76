"""Roboflow's semantic masks, as in a public export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flexunet_exp.data.annotations.formats.roboflow import Roboflow
from flexunet_exp.data.annotations.place import Place
from tests.support import exports

TABLE = "Pixel Value, Class\n0, background\n1, scratch\n2, dent\n"
STEM = "bolt_01_jpg.rf.0a1b2c3d"


def exported(folder: Path, *values: int, table: str = TABLE) -> Path:
    """Two versions of one picture in train, and another one in valid."""
    mask = np.zeros((4, 6), np.uint8)
    mask[0, : len(values)] = values
    for stem in (f"train/{STEM}", "train/bolt_01_jpg.rf.ffff", "valid/bolt_02_jpg.rf.eeee"):
        exports.save(folder / f"{stem}.jpg", (4, 6))
        exports.save(folder / f"{stem}_mask.png", mask)
    for split in ("train", "valid"):
        exports.write(folder / split / "_classes.csv", table)
    return folder


def test_values_are_classes_by_the_table_with_blanks_behind_its_commas(tmp_path: Path) -> None:
    export = exports.read(Roboflow(), exported(tmp_path, 1, 2))
    assert [one.name for one in export.classes] == ["scratch", "dent"]
    assert exports.mask(export, f"{STEM}.jpg")[0].tolist() == [1, 2, 0, 0, 0, 0]


def test_folders_are_splits_and_versions_of_a_picture_are_one_part(tmp_path: Path) -> None:
    export = exports.read(Roboflow(), exported(tmp_path))
    assert [(one.split, one.source) for one in export.pictures] == [
        ("train", "bolt_01_jpg"),
        ("train", "bolt_01_jpg"),
        ("valid", "bolt_02_jpg"),
    ]


def test_tables_that_number_the_classes_otherwise_are_read_each(tmp_path: Path) -> None:
    table = TABLE.replace("1, scratch\n2, dent", "1, dent\n2, scratch")
    exports.write(exported(tmp_path, 1, 2) / "valid/_classes.csv", table)
    export = exports.read(Roboflow(), tmp_path)
    masks = [exports.draw(export, end).mask for end in (f"{STEM}.jpg", "eeee.jpg")]
    assert [export.classes[value - 1].name for value in (1, 2)] == ["scratch", "dent"]
    assert [mask[0, :2].tolist() for mask in masks] == [[1, 2], [2, 1]]


def test_a_picture_without_a_mask_is_not_labelled(tmp_path: Path) -> None:
    (exported(tmp_path) / "valid/bolt_02_jpg.rf.eeee_mask.png").unlink()
    assert not exports.named(exports.read(Roboflow(), tmp_path), "eeee.jpg").done


def test_values_that_the_table_lacks_are_listed(tmp_path: Path) -> None:
    export = exports.read(Roboflow(), exported(tmp_path, 1, 3, 3))
    (problem,) = exports.draw(export, f"{STEM}.jpg").problems
    assert "values of no class: 3 (2 px)" in problem


@pytest.mark.parametrize("row", ["x, rust", "300, rust", "3", "3, rust, 9", "3,"])
def test_damaged_rows_are_named(tmp_path: Path, row: str) -> None:
    problems = exports.problems_of(Roboflow(), exported(tmp_path, table=f"{TABLE}{row}\n"))
    assert [problem.split(": ")[0] for problem in problems] == [
        "train/_classes.csv:5",
        "valid/_classes.csv:5",
    ]


def test_a_mask_that_is_no_picture_is_a_problem(tmp_path: Path) -> None:
    (exported(tmp_path) / f"train/{STEM}_mask.png").write_bytes(b"x")
    (problem,) = exports.draw(exports.read(Roboflow(), tmp_path), f"{STEM}.jpg").problems
    assert "no readable image" in problem


def test_a_table_of_whole_pictures_is_another_format(tmp_path: Path) -> None:
    exports.write(tmp_path / "_classes.csv", "filename, scratch, dent\na.jpg, 0, 1\n")
    assert not Roboflow().recognises(Place(tmp_path))
