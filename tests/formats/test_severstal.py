"""Severstal's table of run lengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flexunet_exp.data.annotations.formats.severstal import Severstal
from flexunet_exp.data.annotations.place import Place
from tests.support import exports

HEADING = "ImageId,ClassId,EncodedPixels\n"


def exported(folder: Path, *rows: str, heading: str = HEADING) -> Path:
    """Two pictures of 6 x 4 pixels to train on, one to test, and the table."""
    for name in ("train_images/a.jpg", "train_images/b.jpg", "test_images/c.jpg"):
        exports.save(folder / name, (4, 6))
    exports.write(folder / "train.csv", heading + "".join(f"{row}\n" for row in rows))
    exports.write(folder / "sample_submission.csv", f"{heading}c.jpg,1,1 1\n")
    return folder


def test_runs_go_down_columns_and_the_first_pixel_is_1(tmp_path: Path) -> None:
    export = exports.read(Severstal(), exported(tmp_path, "a.jpg,3,1 2 8 3", "a.jpg,1,24 1"))
    assert [one.name for one in export.classes] == ["defect_1", "defect_3"]
    drawn = exports.mask(export, "a.jpg")
    assert np.argwhere(drawn == 2).tolist() == [[0, 0], [0, 2], [1, 0], [1, 2], [3, 1]]
    assert np.argwhere(drawn == 1).tolist() == [[3, 5]]


def test_pictures_without_a_row_are_good_and_those_to_test_are_not_labelled(tmp_path: Path) -> None:
    export = exports.read(Severstal(), exported(tmp_path, "a.jpg,1,1 1"))
    assert exports.named(export, "b.jpg").done
    assert not exports.named(export, "b.jpg").objects
    assert not exports.named(export, "c.jpg").done


def test_the_first_form_of_the_table_has_rows_without_runs(tmp_path: Path) -> None:
    heading = "ImageId_ClassId,EncodedPixels\n"
    folder = exported(tmp_path, "a.jpg_1,", "a.jpg_2,5 1", "b.jpg_1,", heading=heading)
    export = exports.read(Severstal(), folder)
    assert np.argwhere(exports.mask(export, "a.jpg")).tolist() == [[0, 1]]
    assert exports.named(export, "b.jpg").done


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ("1 x", "no whole numbers"),
        ("0 2", "outside of the 6 × 4 pixels"),
    ],
)
def test_damaged_runs_are_a_problem_of_their_row(tmp_path: Path, runs: str, said: str) -> None:
    export = exports.read(Severstal(), exported(tmp_path, f"a.jpg,1,{runs}"))
    (problem,) = exports.draw(export, "a.jpg").problems
    assert problem.startswith("train.csv line 2: defect_1: its")
    assert said in problem


@pytest.mark.parametrize("row", ["a.jpg,x,1 1", ",1,1 1"])
def test_damaged_rows_are_named(tmp_path: Path, row: str) -> None:
    (problem,) = exports.problems_of(Severstal(), exported(tmp_path, row))
    assert problem.startswith("train.csv:2: found")


def test_a_picture_that_is_not_there_is_listed(tmp_path: Path) -> None:
    export = exports.read(Severstal(), exported(tmp_path, "lost.jpg,1,1 1"))
    assert exports.named(export, "lost.jpg").file is None


def test_another_table_is_another_format(tmp_path: Path) -> None:
    exports.write(tmp_path / "train.csv", "image,label\n")
    assert not Severstal().recognises(Place(tmp_path))
