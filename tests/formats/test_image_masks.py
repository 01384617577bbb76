"""Masks of any naming, by patterns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flexunet_exp.data.annotations.choosing import chosen
from flexunet_exp.data.annotations.formats.image_masks import ImageMasks
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.errors import InputError
from tests.support import exports

KOLEKTOR = {"image": "{stem}.jpg", "mask": "{stem}_label.bmp"}


def kolektor(folder: Path, *values: int) -> Path:
    """kos01/Part1.jpg with a mask of some values, one pixel each, and kos01/Part2.jpg, all 0."""
    mask = np.zeros((4, 6), np.uint8)
    mask[0, : len(values)] = values
    exports.save(folder / "kos01/Part1.jpg", (4, 6))
    exports.save(folder / "kos01/Part2.jpg", (4, 6))
    exports.save(folder / "kos01/Part1_label.bmp", mask)
    exports.save(folder / "kos01/Part2_label.bmp", np.zeros((4, 6), np.uint8))
    return folder


def test_the_stem_of_a_picture_is_that_of_its_mask_with_its_folders(tmp_path: Path) -> None:
    export = exports.read(ImageMasks(), kolektor(tmp_path, 255), **KOLEKTOR, values={255: "crack"})
    assert [one.name for one in export.pictures] == ["kos01/Part1.jpg", "kos01/Part2.jpg"]
    assert np.argwhere(exports.mask(export, "Part1.jpg")).tolist() == [[0, 0]]
    assert not exports.mask(export, "Part2.jpg").any()  # all 0: good


def test_numbers_become_the_classes_in_their_order(tmp_path: Path) -> None:
    values = {255: "dent", 1: "scratch", 7: "ignore", 9: "scratch", 3: "background"}
    folder = kolektor(tmp_path, 1, 255, 7, 9, 3)
    export = exports.read(ImageMasks(), folder, **KOLEKTOR, values=values)
    assert [one.name for one in export.classes] == ["scratch", "dent"]
    assert exports.mask(export, "Part1.jpg")[0].tolist() == [1, 2, 255, 1, 0, 0]
    assert "1 is scratch" in export.notes[0]


def test_values_may_say_that_0_is_the_defect(tmp_path: Path) -> None:
    values = {0: "dent", 255: "background"}
    export = exports.read(ImageMasks(), kolektor(tmp_path, 255), **KOLEKTOR, values=values)
    assert exports.mask(export, "Part1.jpg")[0].tolist() == [0, 1, 1, 1, 1, 1]


def test_a_threshold_is_one_class(tmp_path: Path) -> None:
    folder = kolektor(tmp_path, 127, 128, 255)
    export = exports.read(ImageMasks(), folder, **KOLEKTOR, threshold=128)
    assert exports.mask(export, "Part1.jpg")[0].tolist() == [0, 1, 1, 0, 0, 0]
    assert export.notes == ["Masks: values from 128 on are defect, the others background."]


def test_without_a_rule_the_values_are_listed_with_their_pixels(tmp_path: Path) -> None:
    (problem,) = exports.problems_of(ImageMasks(), kolektor(tmp_path, 1, 1, 255), **KOLEKTOR)
    assert "0 (45 px), 1 (2 px), 255 (1 px)" in problem
    assert "threshold=128" in problem


def test_values_without_a_label_are_listed_with_their_pixels(tmp_path: Path) -> None:
    folder = kolektor(tmp_path, 1, 2, 2)
    result = exports.draw(
        exports.read(ImageMasks(), folder, **KOLEKTOR, values={1: "dent"}), "Part1.jpg"
    )
    (problem,) = result.problems
    assert "values of no class: 2 (2 px)" in problem
    assert "values=" in problem


def test_a_wildcard_finds_any_suffix_and_several_masks_of_a_picture(tmp_path: Path) -> None:
    exports.save(tmp_path / "in/a.jpg", (4, 6))
    exports.save(tmp_path / "in/b.bmp", (4, 6))
    for kind, value in (("x", 1), ("y", 2)):
        mask = np.zeros((4, 6), np.uint8)
        mask[value] = value
        exports.save(tmp_path / f"gt/a_{kind}.png", mask)
    options = {"image": "in/{stem}.*", "mask": "gt/{stem}_?.png".replace("?", "*")}
    export = exports.read(ImageMasks(), tmp_path, **options, values={1: "x", 2: "y"})
    assert exports.mask(export, "a.jpg")[:, 0].tolist() == [0, 1, 2, 0]
    assert not exports.named(export, "b.bmp").done


def test_masks_beside_their_pictures_are_no_pictures(tmp_path: Path) -> None:
    exports.save(tmp_path / "00001.png", (4, 6))
    exports.save(tmp_path / "00001_GT.png", np.zeros((4, 6), np.uint8))
    options = {"image": "{stem}.png", "mask": "{stem}_GT.png"}
    export = exports.read(ImageMasks(), tmp_path, **options, threshold=1)
    assert [one.name for one in export.pictures] == ["00001.png"]


def test_other_files_in_the_folders_are_left_alone(tmp_path: Path) -> None:
    exports.write(kolektor(tmp_path, 1) / "kos01/Part1.txt", "x")
    export = exports.read(
        ImageMasks(), tmp_path, image="{stem}.*", mask="{stem}_label.*", threshold=1
    )
    assert len(export.pictures) == 2


def test_the_patterns_alone_choose_the_format(tmp_path: Path) -> None:
    node = {"_target_": "flexunet_exp.data.annotations.formats.image_masks.ImageMasks"}
    place = Place(kolektor(tmp_path), options=KOLEKTOR)
    assert chosen("auto", {"image_masks": node}, place)[0] == "image_masks"


def test_a_setting_that_a_format_does_not_read_is_told(tmp_path: Path) -> None:
    node = {"_target_": "flexunet_exp.data.annotations.formats.voc.Voc"}
    with pytest.raises(InputError, match="threshold=…: the format voc does not read it"):
        chosen("voc", {"voc": node}, Place(tmp_path, options={"threshold": 3}))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image": "images/{stem}.jpg"}, "image='images/{stem}.jpg' fits none of 4 files"),
        ({"mask": "gt/{stem}.png"}, "mask='gt/{stem}.png' fits none of 4 files"),
        ({"image": "kos01/P{stem}.jpg"}, "2 masks have no picture: kos01/Part1_label.bmp"),
        ({"image": "kos*/Part{stem}.jpg", "mask": "kos*/Part{stem}_label.bmp"}, ""),
        ({"values": {1: "dent"}}, "give one"),
    ],
)
def test_patterns_that_do_not_fit_say_what_there_is(
    tmp_path: Path, options: dict, said: str
) -> None:
    folder = kolektor(tmp_path, 1)
    given = {**KOLEKTOR, "threshold": 1, **options}
    if not said:
        assert len(exports.read(ImageMasks(), folder, **given).pictures) == 2
        return
    assert said in exports.problems_of(ImageMasks(), folder, **given)[0]


def test_two_pictures_of_one_stem_are_a_problem(tmp_path: Path) -> None:
    exports.save(kolektor(tmp_path, 1) / "kos01/Part1.png", (4, 6))
    options = {"image": "{stem}.*", "mask": "{stem}_label.bmp", "threshold": 1}
    (problem,) = exports.problems_of(ImageMasks(), tmp_path, **options)
    assert "2 pictures have the stem kos01/Part1" in problem


def test_masks_of_colours_are_refused(tmp_path: Path) -> None:
    colours = np.zeros((4, 6, 3), np.uint8)
    colours[0] = 255, 0, 0
    exports.save(kolektor(tmp_path) / "kos01/Part1_label.bmp", colours)
    (problem,) = exports.problems_of(ImageMasks(), tmp_path, **KOLEKTOR)
    assert "a mask of colours" in problem


def test_masks_saved_as_jpeg_are_refused(tmp_path: Path) -> None:
    exports.save(kolektor(tmp_path) / "kos01/Part1_label.jpg", np.zeros((4, 6), np.uint8))
    options = {"image": "{stem}.jpg", "mask": "{stem}_label.jpg"}
    (problem,) = exports.problems_of(ImageMasks(), tmp_path, **options)
    assert "saved as JPEG" in problem


def test_one_pattern_alone_is_a_problem(tmp_path: Path) -> None:
    place = Place(kolektor(tmp_path), options={"image": "{stem}.jpg"})
    with pytest.raises(InputError, match="mask is missing"):
        ImageMasks().read(place)
