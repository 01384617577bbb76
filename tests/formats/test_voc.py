"""Masks in colours, as CVAT, datumaro and Pascal VOC have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.data.annotations.formats.cvat import Cvat
from flexunet_exp.data.annotations.formats.voc import Voc
from flexunet_exp.data.annotations.formats.voc_colours import colour_of
from flexunet_exp.data.annotations.place import Place
from tests.support import exports

LABELS = (
    "# label:color_rgb:parts:actions\nbackground:0,0,0::\nscratch:255,128,0::\ndent:0,0,255::\n"
)


def exported(folder: Path, labels: str | None = LABELS, **lists: str) -> Path:
    """A picture and its mask: a column of scratch, one of dent, the rest background."""
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, 4], pixels[:, 8] = (255, 128, 0), (0, 0, 255)
    exports.save(folder / "JPEGImages/a.jpg", (10, 20))
    exports.save(folder / "SegmentationClass/a.png", pixels)
    exports.save(folder / "SegmentationObject/a.png", pixels)
    for name, text in lists.items():
        exports.write(folder / f"ImageSets/Segmentation/{name}.txt", text)
    if labels is not None:
        exports.write(folder / "labelmap.txt", labels)
    return folder


def test_empty_colours_are_the_palette_of_voc_by_line() -> None:
    export = exports.read(Voc(), exports.FILES / "voc")
    drawn = exports.mask(exports.read(Cvat(), exports.FILES / "cvat"), "a.png")  # the same objects
    assert [one.name for one in export.classes] == ["scratch", "dent", "pore"]
    np.testing.assert_array_equal(exports.mask(export, "a.png"), drawn)


def test_a_listed_picture_without_a_mask_is_not_called_good() -> None:
    export = exports.read(Voc(), exports.FILES / "voc")
    assert {(one.name, one.split, one.done) for one in export.pictures} == {
        ("JPEGImages/a.png", "train", True),
        ("JPEGImages/b.png", "valid", False),
    }


def test_colours_of_the_task_are_those_of_the_classes(tmp_path: Path) -> None:
    export = exports.read(Voc(), exported(tmp_path))
    assert [(one.name, one.colour) for one in export.classes] == [
        ("scratch", (255, 128, 0)),
        ("dent", (0, 0, 255)),
    ]
    assert exports.mask(export, "a.jpg")[0].tolist() == [0] * 4 + [1] + [0] * 3 + [2] + [0] * 11


def test_palette_pictures_of_pascal_voc_have_its_classes_and_ignore_255(tmp_path: Path) -> None:
    indices = np.zeros((10, 20), np.uint8)
    indices[2, 3], indices[2, 4] = 15, 255
    palette = [value for number in range(255) for value in colour_of(number)] + [224, 224, 192]
    voc = tmp_path / "VOCdevkit/VOC2012"
    exports.save(voc / "JPEGImages/2007_000032.jpg", (10, 20))
    (voc / "SegmentationClass").mkdir()
    mask = Image.fromarray(indices)
    mask.putpalette(palette)
    mask.save(voc / "SegmentationClass/2007_000032.png")
    export = exports.read(Voc(), tmp_path)
    drawn = exports.mask(export, "2007_000032.jpg")
    assert export.classes[drawn[2, 3] - 1].name == "person"
    assert drawn[2, 4] == 255
    assert "no labelmap.txt" in export.notes[0]


def test_the_palette_is_that_of_voc() -> None:
    assert [colour_of(number) for number in (0, 1, 2, 3, 8, 15)] == [
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (64, 0, 0),
        (192, 128, 128),
    ]


def test_class_names_of_labelmes_converter_are_by_line(tmp_path: Path) -> None:
    exported(tmp_path, labels=None)
    exports.save(tmp_path / "SegmentationClass/a.png", np.full((10, 20, 3), (128, 0, 0), np.uint8))
    exports.write(tmp_path / "class_names.txt", "_background_\nscratch\n")
    export = exports.read(Voc(), tmp_path)
    assert [one.name for one in export.classes] == ["scratch"]
    assert (exports.mask(export, "a.jpg") == 1).all()
    assert not export.notes


def test_unknown_colours_are_listed_with_their_pixels(tmp_path: Path) -> None:
    labels = LABELS.replace("dent:0,0,255", "dent:0,0,254")
    result = exports.draw(exports.read(Voc(), exported(tmp_path, labels)), "a.jpg")
    (problem,) = result.problems
    assert "(0, 0, 255) (10 px)" in problem
    assert "labelmap.txt" in problem


def test_pictures_that_no_list_has_stay_out_and_are_told(tmp_path: Path) -> None:
    exports.save(tmp_path / "JPEGImages/b.jpg", (10, 20))
    export = exports.read(Voc(), exported(tmp_path, train="a\n"))
    assert [one.name for one in export.pictures] == ["JPEGImages/a.jpg"]
    assert "such as b" in export.notes[0]


def test_without_lists_all_pictures_belong_to_the_set(tmp_path: Path) -> None:
    exports.save(tmp_path / "JPEGImages/b.jpg", (10, 20))
    export = exports.read(Voc(), exported(tmp_path))
    assert not exports.named(export, "b.jpg").done


def test_a_list_of_all_gives_no_split(tmp_path: Path) -> None:
    export = exports.read(Voc(), exported(tmp_path, default="a\n"))
    assert exports.named(export, "a.jpg").split == ""


def test_trainval_beside_train_is_no_contradiction(tmp_path: Path) -> None:
    exports.save(tmp_path / "JPEGImages/b.jpg", (10, 20))
    lists = {"train": "a\n", "trainval": "a\nb\n", "val": "b\n"}
    export = exports.read(Voc(), exported(tmp_path, **lists))
    assert [one.split for one in export.pictures] == ["train", "valid"]


def test_a_picture_in_two_splits_is_a_problem(tmp_path: Path) -> None:
    (problem,) = exports.problems_of(Voc(), exported(tmp_path, train="a\n", val="a\n"))
    assert "val.txt: a is in the list of another split too" in problem


def test_a_label_that_is_black_is_told(tmp_path: Path) -> None:
    labels = LABELS.replace("background", "rust")
    (note,) = exports.read(Voc(), exported(tmp_path, labels)).notes
    assert "rust is black" in note


def test_names_with_folders_find_their_pictures(tmp_path: Path) -> None:
    for folder in ("left", "right"):
        exports.save(tmp_path / f"JPEGImages/{folder}/a.jpg", (10, 20))
        exports.save(
            tmp_path / f"SegmentationClass/{folder}/a.png", np.zeros((10, 20, 3), np.uint8)
        )
    exports.write(tmp_path / "labelmap.txt", LABELS)
    export = exports.read(Voc(), tmp_path)
    assert [one.name for one in export.pictures] == [
        "JPEGImages/left/a.jpg",
        "JPEGImages/right/a.jpg",
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dent:1,2::", "found the colour '1,2', expected r,g,b"),
        ("dent:1,2,x::", "found the colour '1,2,x'"),
    ],
)
def test_damaged_lines_of_the_labels_are_named(tmp_path: Path, line: str, said: str) -> None:
    labels = LABELS.replace("dent:0,0,255::", line)
    (problem,) = exports.problems_of(Voc(), exported(tmp_path, labels))
    assert problem.startswith("labelmap.txt:4: ")
    assert said in problem


def test_other_exports_are_other_formats() -> None:
    assert not Voc().recognises(Place(exports.FILES / "cvat"))
    assert not Cvat().recognises(Place(exports.FILES / "voc"))
