"""Masks of X-AnyLabeling's polygons are those of its own export (files/xanylabeling)."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.data.annotations.formats.labelme import LabelMe
from flexunet_exp.data.annotations.formats.xanylabeling import XAnyLabeling
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.errors import InputError
from tests.support import exports

FILES = exports.FILES / "xanylabeling"


def truth(name: str) -> np.ndarray:
    return np.array(Image.open(FILES / "truth" / f"{name}.png"))


def test_polygons_are_those_of_x_anylabeling():
    masks = exports.masks(exports.read(XAnyLabeling(), FILES / "export"))
    assert (masks["polygons.png"] == truth("polygons")).all()


def test_other_areas_are_drawn_although_its_own_export_leaves_them_out():
    mask = exports.masks(exports.read(XAnyLabeling(), FILES / "export"))["others.png"]
    assert not truth("others").any()
    assert (mask[30:37, 2:10] == 2).all()  # the rectangle, lines included
    assert mask[33, 24] == 2  # the middle of the turned box
    assert mask[29, 38] == 1 and mask[20, 42] == 1


def test_the_export_is_recognised_and_is_not_taken_for_labelme():
    assert exports.recognised(FILES / "export") == "xanylabeling"
    assert not LabelMe().recognises(Place(FILES / "export"))


def test_classes_have_the_order_of_classes_txt():
    classes = XAnyLabeling().read(Place(FILES / "export")).classes
    assert [one.name for one in classes] == ["scratch", "dent"]


def test_a_rectangle_of_two_corners_is_that_of_older_versions(tmp_path):
    write(tmp_path, shape_type="rectangle", points=[[9, 9], [2, 2]])
    assert exports.masks(exports.read(XAnyLabeling(), tmp_path))["a.png"].sum() == 64


def test_a_line_asks_for_its_width(tmp_path):
    write(tmp_path, shape_type="linestrip", points=[[2, 2], [30, 9]])
    (found,) = exports.drawings(XAnyLabeling().read(Place(tmp_path))).values()
    assert "Give line_width=" in found.problems[0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"shape_type": "cuboid"}, "a cuboid, which stands for no area"),
        ({"shape_type": "rotation", "points": [[1, 1], [2, 2], [3, 3]]}, "of 3 points, expected 4"),
        ({"shape_type": "blob"}, "a shape of the type 'blob'"),
        ({"points": None}, "points: found None, expected a list"),
    ],
)
def test_a_damaged_shape_is_named(tmp_path, changed, said):
    write(tmp_path, **changed)
    with pytest.raises(InputError, match=f"a.json shapes\\[0\\].*{said}"):
        XAnyLabeling().read(Place(tmp_path))


def write(folder, **changed) -> None:
    Image.new("L", (48, 40)).save(folder / "a.png")
    shape = {"label": "dent", "points": [[2, 2], [9, 2], [9, 9]], "shape_type": "polygon"}
    content = {"version": "4.2.1", "checked": False, "imagePath": "a.png", "imageData": None}
    content |= {"shapes": [{**shape, "difficult": False, **changed}]}
    (folder / "a.json").write_text(json.dumps(content))
