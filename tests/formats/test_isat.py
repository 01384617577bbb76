"""Masks of ISAT's files are those of its own VOC export (files/isat, made by it)."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.data.annotations.formats.isat import Isat
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.errors import InputError
from tests.support import exports

FILES = exports.FILES / "isat"


@pytest.mark.parametrize("name", ["layers", "chance"])
def test_masks_are_those_of_isat(name):
    expected = np.array(Image.open(FILES / "truth" / f"{name}.png"))
    assert (exports.masks(exports.read(Isat(), FILES / "export"))[f"{name}.png"] == expected).all()


def test_the_export_is_recognised():
    assert exports.recognised(FILES / "export") == "isat"


def test_classes_have_the_order_and_colours_of_isat_yaml():
    classes = Isat().read(Place(FILES / "export")).classes
    assert [(one.name, one.colour) for one in classes] == [
        ("dent", (128, 0, 0)),
        ("scratch", (0, 128, 0)),
        ("Ölfleck", (128, 128, 0)),
    ]


def test_the_first_class_of_a_list_without_background_is_no_background(tmp_path):
    shutil.copytree(FILES / "export", tmp_path, dirs_exist_ok=True)
    assert set(np.unique(exports.masks(exports.read(Isat(), tmp_path))["layers.png"])) == {
        0,
        1,
        2,
        3,
    }
    (tmp_path / "isat.yaml").unlink()
    assert set(np.unique(exports.masks(exports.read(Isat(), tmp_path))["layers.png"])) == {
        0,
        1,
        2,
        3,
    }


def test_crowds_are_kept_unless_they_are_ignored():
    assert 255 not in exports.masks(exports.read(Isat(), FILES / "export"))["layers.png"]
    assert (
        255 in exports.masks(exports.read(Isat(), FILES / "export"), crowd="ignore")["layers.png"]
    )


def test_the_class_of_the_background_is_no_defect(tmp_path):
    write(tmp_path, category="__background__")
    assert Isat().read(Place(tmp_path)).classes == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"segmentation": []}, r"segmentation: expected points \[\[x, y\], …\]"),
        ({"segmentation": [[1, 1], [2, 2]]}, "a polygon of 2 points"),
        ({"segmentation": {"counts": "abc"}}, "segmentation: found .*expected a list"),
        ({"category": 3}, "category: found 3, expected a text"),
        ({"layer": "top"}, "layer: found 'top', expected a number"),
    ],
)
def test_a_damaged_object_is_named(tmp_path, changed, said):
    write(tmp_path, **changed)
    with pytest.raises(InputError, match=f"a.json objects\\[0\\].*{said}"):
        Isat().read(Place(tmp_path))


@pytest.mark.parametrize("text", ["label: 3", "[", "3", "label: [{color: red}]"])
def test_a_damaged_list_of_classes_is_named(tmp_path, text):
    write(tmp_path)
    (tmp_path / "isat.yaml").write_text(text)
    with pytest.raises(InputError, match="isat.yaml: expected ISAT's classes"):
        Isat().read(Place(tmp_path))


def test_files_of_others_are_said(tmp_path):
    write(tmp_path)
    (tmp_path / "package.json").write_text("{}")
    assert "package.json" in Isat().read(Place(tmp_path)).notes[0]


def write(folder, **changed) -> None:
    Image.new("L", (48, 40)).save(folder / "a.png")
    node = {"category": "dent", "segmentation": [[2, 2], [9, 2], [9, 9]], "layer": 1.0, **changed}
    info = {"description": "ISAT", "folder": "", "name": "a.png", "width": 48, "height": 40}
    (folder / "a.json").write_text(json.dumps({"info": info, "objects": [node]}))
