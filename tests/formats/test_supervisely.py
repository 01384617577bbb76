"""Masks of a Supervisely project are those that its SDK draws (files/supervisely, made by it)."""

from __future__ import annotations

import base64
import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.data.annotations.formats.supervisely import Supervisely
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.errors import InputError
from tests.support import exports

FILES = exports.FILES / "supervisely"
SQUARE = [[10, 10], [30, 10], [30, 30], [10, 30]]


def test_masks_are_those_of_supervisely():
    masks = exports.masks(exports.read(Supervisely(), FILES / "export"))
    expected = np.array(Image.open(FILES / "truth" / "train.png"))
    assert (masks["train/img/train.png"] == expected).all()
    assert not masks["val/img/val.png"].any()


def test_the_export_is_recognised():
    assert exports.recognised(FILES / "export") == "supervisely"


def test_classes_have_the_order_and_colours_of_meta_json():
    classes = Supervisely().read(Place(FILES / "export")).classes
    assert [(one.name, one.colour) for one in classes] == [
        ("scratch", (255, 0, 0)),
        ("dent", (0, 160, 255)),
        ("unused", (9, 9, 9)),
    ]


def test_data_sets_called_like_splits_are_splits():
    export = Supervisely().read(Place(FILES / "export"))
    assert [one.split for one in export.pictures] == ["train", "valid"]


def test_a_hole_is_cut_out_with_its_lines(tmp_path):
    hole = [[15, 15], [25, 15], [25, 25], [15, 25]]
    write(tmp_path, geometryType="polygon", points={"exterior": SQUARE, "interior": [hole]})
    assert (
        exports.masks(exports.read(Supervisely(), tmp_path))["ds/img/a.png"].sum() == 21**2 - 11**2
    )


@pytest.mark.parametrize("mode", ["L", "1", "RGBA", "P"])
@pytest.mark.parametrize("pack", [zlib.compress, bytes])
def test_bitmaps_of_every_kind_are_read(tmp_path, mode, pack):
    write(tmp_path, geometryType="bitmap", bitmap={"data": png(mode, pack), "origin": [5, 7]})
    rows, columns = np.nonzero(exports.masks(exports.read(Supervisely(), tmp_path))["ds/img/a.png"])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 10, 5, 8)
    assert len(rows) == 12


def test_a_point_asks_for_its_radius(tmp_path):
    write(tmp_path, geometryType="point", points={"exterior": [[4, 4]], "interior": []})
    (found,) = exports.drawings(Supervisely().read(Place(tmp_path))).values()
    assert "Give point_radius=" in found.problems[0]


def test_tags_are_said(tmp_path):
    write(tmp_path, geometryType="rectangle", points={"exterior": [[1, 1], [4, 4]]},
          tags=[{"name": "blurred", "value": None}])  # fmt: skip
    assert "blurred" in Supervisely().read(Place(tmp_path)).notes[0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"geometryType": "graph"}, "a 'graph', which is not read here"),
        ({"geometryType": "polygon"}, "has no 'points'"),
        ({"geometryType": "polygon", "points": {"exterior": []}}, "exterior: expected points"),
        ({"geometryType": "rectangle", "points": {"exterior": SQUARE}}, "a rectangle of 4 points"),
        ({"geometryType": "bitmap", "bitmap": {"data": "", "origin": 3}}, "origin: expected"),
    ],
)
def test_a_damaged_object_is_named(tmp_path, changed, said):
    write(tmp_path, **changed)
    with pytest.raises(InputError, match=r"ds/ann/a.png.json objects\[0\].*" + said):
        Supervisely().read(Place(tmp_path))


def test_a_project_without_its_classes_is_named(tmp_path):
    with pytest.raises(InputError, match="has no meta.json"):
        Supervisely().read(Place(tmp_path))


def png(mode: str, pack) -> str:
    """A bitmap (4, 4) without its first row, as text."""
    pixels = np.full((4, 4), 255, np.uint8)
    pixels[0] = 0
    picture = Image.fromarray(pixels)
    if mode == "RGBA":
        picture = Image.merge("RGBA", [Image.new("L", (4, 4), 255)] * 3 + [picture])
    elif mode == "P":
        picture = Image.fromarray(pixels // 255)
        picture.putpalette([0, 0, 0, 255, 0, 0])
    elif mode == "1":
        picture = picture.convert("1")
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(pack(file.getvalue())).decode()


def write(folder, **changed) -> None:
    for name in ("img", "ann"):
        (folder / "ds" / name).mkdir(parents=True)
    Image.new("L", (48, 40)).save(folder / "ds" / "img" / "a.png")
    classes = [{"title": "dent", "shape": "any", "color": "#ff0000"}]
    (folder / "meta.json").write_text(json.dumps({"classes": classes, "tags": []}))
    node = {"classTitle": "dent", "tags": [], **changed}
    content = {"size": {"height": 40, "width": 48}, "tags": [], "objects": [node]}
    (folder / "ds" / "ann" / "a.png.json").write_text(json.dumps(content))
