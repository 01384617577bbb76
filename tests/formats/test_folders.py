"""Folders as anomalib has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flexunet_exp.data.annotations.formats.folders import Folders
from flexunet_exp.data.annotations.place import Place
from tests.support import exports


def hazelnut(folder: Path, *values: int) -> Path:
    """good/, crack/, colour/ and mask/KIND/ with masks of some values, one pixel each."""
    mask = np.zeros((4, 6), np.uint8)
    mask[0, : len(values)] = values
    exports.save(folder / "good/00.jpg", (4, 6))
    for kind in ("colour", "crack"):
        exports.save(folder / kind / "00.jpg", (4, 6))
        exports.save(folder / "mask" / kind / "00.png", mask)
    return folder


def test_folders_of_defects_are_classes_and_normal_pictures_are_good(tmp_path: Path) -> None:
    export = exports.read(Folders(), hazelnut(tmp_path, 255))
    assert [one.name for one in export.classes] == ["colour", "crack"]
    assert exports.mask(export, "crack/00.jpg")[0].tolist() == [2, 0, 0, 0, 0, 0]
    assert exports.named(export, "good/00.jpg").done
    assert not exports.mask(export, "good/00.jpg").any()


def test_one_folder_of_defects_has_its_masks_right_in_mask(tmp_path: Path) -> None:
    exports.save(tmp_path / "normal/a.png", (4, 6))
    exports.save(tmp_path / "abnormal/b.png", (4, 6))
    exports.save(tmp_path / "mask/b_mask.png", np.ones((4, 6), np.uint8))
    assert (exports.mask(exports.read(Folders(), tmp_path), "b.png") == 1).all()


def test_any_one_value_above_0_is_the_defect(tmp_path: Path) -> None:
    export = exports.read(Folders(), hazelnut(tmp_path, 7, 7))
    assert exports.mask(export, "colour/00.jpg")[0].tolist() == [1, 1, 0, 0, 0, 0]


def test_several_values_ask_for_a_threshold(tmp_path: Path) -> None:
    folder = hazelnut(tmp_path, 20, 200, 200)
    (problem,) = exports.draw(exports.read(Folders(), folder), "crack/00.jpg").problems
    assert "200 (2 px), 20 (1 px)" in problem
    assert "threshold=128" in problem
    export = exports.read(Folders(), folder, threshold=128)
    assert exports.mask(export, "crack/00.jpg")[0].tolist() == [0, 2, 2, 0, 0, 0]
    assert "from 128 on" in export.notes[0]


def test_a_defect_without_a_mask_is_not_called_good(tmp_path: Path) -> None:
    (hazelnut(tmp_path) / "mask/crack/00.png").unlink()
    assert not exports.named(exports.read(Folders(), tmp_path), "crack/00.jpg").done


def test_masks_without_a_picture_are_a_problem_except_those_of_good_ones(tmp_path: Path) -> None:
    for name in ("good/00.png", "crack/77.png"):
        exports.save(hazelnut(tmp_path) / "mask" / name, np.zeros((4, 6), np.uint8))
    (problem,) = exports.problems_of(Folders(), tmp_path)
    assert problem.startswith("1 masks have no picture")
    assert "mask/crack/77.png" in problem


def test_masks_of_colours_are_refused(tmp_path: Path) -> None:
    colours = np.zeros((4, 6, 3), np.uint8)
    colours[0] = 255, 0, 0
    exports.save(hazelnut(tmp_path) / "mask/crack/00.png", colours)
    (problem,) = exports.draw(exports.read(Folders(), tmp_path), "crack/00.jpg").problems
    assert "a mask of colours" in problem


def test_a_mask_that_is_cut_off_is_a_problem(tmp_path: Path) -> None:
    mask = hazelnut(tmp_path, 255) / "mask/crack/00.png"
    mask.write_bytes(mask.read_bytes()[:50])
    (problem,) = exports.draw(exports.read(Folders(), tmp_path), "crack/00.jpg").problems
    assert "no readable image" in problem


def test_the_folders_of_mvtec_are_another_format(tmp_path: Path) -> None:
    for name in ("train/good/a.png", "test/crack/b.png", "ground_truth/crack/b_mask.png"):
        exports.save(tmp_path / name, (4, 6))
    assert not Folders().recognises(Place(tmp_path))
