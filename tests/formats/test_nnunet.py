"""Raw data sets of nnU-Net v2."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.data.annotations.formats.nnunet import NnUNet
from flexunet_exp.data.annotations.place import Place
from tests.support import exports

LABELS = {"background": 0, "scratch": 1, "dent": 2, "ignore": 3}
PIXELS = np.array([[0, 1, 2, 3], [0, 0, 0, 1]], np.uint8)


def described(folder: Path, ending: str = ".png", labels: object = LABELS) -> Path:
    content = {"channel_names": {"0": "grey"}, "labels": labels, "numTraining": 1}
    exports.write(folder / "dataset.json", json.dumps({**content, "file_ending": ending}))
    return folder


def of_png(folder: Path, **options) -> Path:
    exports.save(folder / "imagesTr/bolt_001_0000.png", (2, 4))
    exports.save(folder / "labelsTr/bolt_001.png", PIXELS)
    return described(folder, **options)


def of_nifti(folder: Path, image: np.ndarray, ending: str = ".nii.gz") -> Path:
    """nnU-Net's own turn of a flat picture: (x, y, 1)."""
    nibabel = pytest.importorskip("nibabel")
    for name, pixels in (("imagesTr/a_0000", image), ("labelsTr/a", PIXELS)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        volume = pixels.T[..., None] if pixels.ndim == 2 else pixels
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), folder / f"{name}{ending}")
    return described(folder, ending)


def test_numbers_are_labels_and_the_highest_is_ignored(tmp_path: Path) -> None:
    export = exports.read(NnUNet(), of_png(tmp_path))
    assert [one.name for one in export.classes] == ["scratch", "dent"]
    assert exports.mask(export, "bolt_001_0000.png").tolist() == [[0, 1, 2, 255], [0, 0, 0, 1]]


def test_pictures_of_the_test_have_labels_where_labels_ts_is_there(tmp_path: Path) -> None:
    for name in ("x", "y"):
        exports.save(tmp_path / f"imagesTs/{name}_0000.png", (2, 4))
    exports.save(tmp_path / "labelsTs/x.png", PIXELS)
    export = exports.read(NnUNet(), of_png(tmp_path))
    assert exports.named(export, "x_0000.png").done
    assert not exports.named(export, "y_0000.png").done


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti_of_one_slice_has_x_as_its_first_axis(tmp_path: Path, ending: str) -> None:
    grey = np.arange(8, dtype=np.int16).reshape(2, 4)
    export = exports.read(NnUNet(), of_nifti(tmp_path, grey, ending))
    one = exports.named(export, f"a_0000{ending}")
    assert one.content
    (tmp_path / "out.png").write_bytes(one.content())
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "out.png")), grey)
    read = one.masks[0].read()
    assert read.tolist() == [[0, 1, 2, 255], [0, 0, 0, 1]]


def content_problem(folder: Path, ending: str = ".nii.gz") -> str:
    one = exports.named(exports.read(NnUNet(), folder), f"a_0000{ending}")
    with pytest.raises(Exception, match="a_0000") as caught:
        one.content()  # type: ignore[misc]
    return str(caught.value)


def test_volumes_ask_for_slices(tmp_path: Path) -> None:
    said = content_problem(of_nifti(tmp_path, np.zeros((4, 2, 5), np.uint8)))
    assert "4 × 2 × 5, expected one slice" in said


def test_values_that_are_no_grey_levels_are_refused(tmp_path: Path) -> None:
    said = content_problem(of_nifti(tmp_path, np.array([[0.5, -2.0]], np.float32)))
    assert "values from -2 to 0.5, expected whole ones" in said


def test_damaged_nifti_is_told(tmp_path: Path) -> None:
    path = of_nifti(tmp_path, np.zeros((2, 4), np.uint8)) / "imagesTr/a_0000.nii.gz"
    whole = path.read_bytes()
    for data in (whole[:30], b"x", gzip.compress(gzip.decompress(whole)[:200])):
        path.write_bytes(data)
        assert "cut off: export it again" in content_problem(tmp_path)


def test_without_nibabel_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_nifti(tmp_path, np.zeros((2, 4), np.uint8))
    monkeypatch.setitem(sys.modules, "nibabel", None)
    assert "pip install nibabel" in content_problem(tmp_path)


def test_pictures_of_several_files_are_refused(tmp_path: Path) -> None:
    exports.save(of_png(tmp_path) / "imagesTr/bolt_001_0001.png", (2, 4))
    (problem,) = exports.problems_of(NnUNet(), tmp_path)
    assert "such as bolt_001 (_0000, _0001 …)" in problem


def test_a_label_without_its_picture_is_listed(tmp_path: Path) -> None:
    exports.save(of_png(tmp_path) / "labelsTr/lost.png", PIXELS)
    assert exports.named(exports.read(NnUNet(), tmp_path), "lost").file is None


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"background": 0, "whole": [1, 2]}, "whole is a region"),
        ({"background": 0, "a": 1, "ignore": 2, "b": 3}, "ignore is 2, expected the highest"),
        ({"background": 0, "a": 1, "b": 1}, "b is 1, expected one number"),
        ({"background": 0, "a": 300}, "a is 300"),
        ({"background": 0, "a": "1"}, "labels a: found '1', expected a whole number"),
        (["background"], "labels: found ['background'], expected an object"),
    ],
)
def test_damaged_labels_are_named(tmp_path: Path, labels: object, said: str) -> None:
    (problem,) = exports.problems_of(NnUNet(), of_png(tmp_path, labels=labels))
    assert problem.startswith("dataset.json")
    assert said in problem


def test_numbers_without_a_label_are_listed(tmp_path: Path) -> None:
    export = exports.read(NnUNet(), of_png(tmp_path, labels={"background": 0, "scratch": 1}))
    (problem,) = exports.draw(export, "bolt_001_0000.png").problems
    assert "2 (1 px), 3 (1 px)" in problem


def test_a_description_of_something_else_is_not_recognised(tmp_path: Path) -> None:
    exports.write(tmp_path / "dataset.json", '{"labels": []}')
    assert not NnUNet().recognises(Place(tmp_path))
