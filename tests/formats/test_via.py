"""VIA 2: projects and annotations as its pages write them (files/via/README.md)."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.data.annotations.formats.via import Via
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.errors import InputError
from tests.support import exports

FILES = exports.FILES / "via"
KINDS = ("project", "json", "csv")
RECT = {"name": "rect", "x": 3, "y": 4, "width": 10, "height": 6}
HEADER = ("filename", "file_size", "file_attributes", "region_count", "region_id",
          "region_shape_attributes", "region_attributes")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_file_says_the_same(kind):
    assert exports.recognised(FILES / kind) == "via"
    export = Via().read(Place(FILES / kind))
    assert {one.name: one.done for one in export.pictures} == {"a.png": True, "b.png": False}
    assert [one.label for one in exports.named(export, "a.png").objects] == [
        *["scratch"] * 4,
        *["dent"] * 2,
    ]
    found = exports.drawings(export, line_width=3, point_radius=2)["a.png"]
    assert not found.problems and set(np.unique(found.mask)) == {0, 1, 2}


def test_a_project_gives_the_order_of_classes():
    names = {kind: [one.name for one in Via().read(Place(FILES / kind)).classes] for kind in KINDS}
    assert names["project"] == ["scratch", "dent"]
    assert names["json"] == names["csv"] == ["dent", "scratch"]


def test_a_rectangle_is_of_its_width_and_height(tmp_path):
    write(tmp_path, [RECT])
    mask = exports.masks(exports.read(Via(), tmp_path))["a.png"]
    assert mask.sum() == 60 and (mask[4:10, 3:13] == 1).all()


def test_an_ellipse_is_turned_clockwise_by_radians(tmp_path):
    shape = {"name": "ellipse", "cx": 24, "cy": 20, "rx": 14, "ry": 5, "theta": math.pi / 6}
    write(tmp_path, [shape])
    mask = exports.masks(exports.read(Via(), tmp_path))["a.png"]
    down, across = np.indices((40, 48)) + 0.5
    along = (across - 24) * math.cos(math.pi / 6) + (down - 20) * math.sin(math.pi / 6)
    aside = (down - 20) * math.cos(math.pi / 6) - (across - 24) * math.sin(math.pi / 6)
    assert np.count_nonzero(mask != ((along / 14) ** 2 + (aside / 5) ** 2 <= 1)) <= 2
    assert mask[26, 34] and not mask[14, 34]


def test_an_ellipse_of_older_files_lies_flat(tmp_path):
    write(tmp_path, [{"name": "ellipse", "cx": 24, "cy": 20, "rx": 14, "ry": 5}])
    rows, columns = np.nonzero(exports.masks(exports.read(Via(), tmp_path))["a.png"])
    assert np.ptp(columns) == 27 and np.ptp(rows) == 9


def test_a_checkbox_is_a_label(tmp_path):
    write(tmp_path, [RECT], {"kind": {"dent": True, "scratch": False}})
    assert [one.name for one in Via().read(Place(tmp_path)).classes] == ["dent"]


def test_several_attributes_are_named_and_one_is_asked_for(tmp_path):
    write(tmp_path, [RECT, RECT], {"kind": "dent", "depth": "3"})
    with pytest.raises(InputError, match=r"several attributes: kind \(of 2 regions\), depth.*set"):
        Via().read(Place(tmp_path))
    assert [one.name for one in Via("kind").read(Place(tmp_path)).classes] == ["dent"]
    with pytest.raises(InputError, match="'knid'.*Did you mean 'kind'"):
        Via("knid").read(Place(tmp_path))


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({}, "no region has an attribute"),
        ({"kind": {"dent": True, "scratch": True}}, "its kind is .*expected one label"),
        ({"kind": 3}, "its kind is 3, expected one label"),
    ],
)
def test_a_region_without_one_label_is_named(tmp_path, attributes, said):
    write(tmp_path, [RECT], attributes)
    with pytest.raises(InputError, match=said):
        Via().read(Place(tmp_path))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"name": "blob"}, "a region of the shape 'blob'"),
        ({"name": "rect", "x": 1}, "y: found 'None', expected a number"),
        ({"name": "polygon", "all_points_x": [1, 2]}, "has no 'all_points_y'"),
        ({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [3]}, "2 all_points_x and 1"),
        ({"name": "polygon", "all_points_x": [1], "all_points_y": [3]}, "a polygon of 1 points"),
    ],
)
def test_a_damaged_region_is_named(tmp_path, shape, said):
    write(tmp_path, [shape])
    with pytest.raises(InputError, match=r"a.json a.png12 regions\[0\].*" + said):
        Via().read(Place(tmp_path))


def test_a_damaged_row_is_named(tmp_path):
    with open(tmp_path / "a.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER)
        rows.writerow(["a.png", 12, "{}", 1, 0, "{", "{}"])
        rows.writerow(["", 12, "{}", 1, 0, "{}", "{}"])
    with pytest.raises(InputError) as error:
        Via().read(Place(tmp_path))
    first, second = error.value.problems
    assert "a.csv row 2: found '{'" in first and "a.csv row 3 filename" in second


def write(folder, shapes, attributes=None) -> None:
    Image.new("L", (48, 40)).save(folder / "a.png")
    attributes = {"kind": "dent"} if attributes is None else attributes
    regions = [{"shape_attributes": one, "region_attributes": attributes} for one in shapes]
    node = {"filename": "a.png", "size": 12, "regions": regions, "file_attributes": {}}
    (folder / "a.json").write_text(json.dumps({"a.png12": node}))
