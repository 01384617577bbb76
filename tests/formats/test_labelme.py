"""Masks of LabelMe's files are those that LabelMe itself draws (files/labelme, made by it)."""

from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.data.annotations.formats.labelme import LabelMe
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.errors import InputError
from tests.support import exports

FILES = exports.FILES / "labelme"
SIZE = (40, 48)
PICTURES = {
    "every": "every.png",
    "turned": "turned.jpg",
    "windows": "pictures/windows.png",
    "embedded": "gone.png",
    "nothing": "nothing.png",
}


@pytest.fixture(scope="module")
def masks() -> dict[str, np.ndarray]:
    return exports.masks(exports.read(LabelMe(), FILES / "export"))


@pytest.mark.parametrize("name", PICTURES)
def test_masks_are_those_of_labelme(masks, name):
    expected = np.array(Image.open(FILES / "truth" / f"{name}.png"))
    assert (masks[PICTURES[name]] == expected).all()


def test_each_shape_alone_is_that_of_labelme():
    export = LabelMe().read(Place(FILES / "export"))
    expected = np.load(FILES / "truth" / "every.npz")["arr_0"]
    objects = exports.named(export, "every.png").objects
    for one, pixels in zip(objects, expected, strict=True):
        drawn = np.zeros(SIZE, bool)
        crop = export.tool.draw(exports.shape_in(one, SIZE), SIZE)
        drawn[crop.place] = crop.pixels
        assert (drawn == pixels).all(), one


def test_the_export_is_recognised():
    assert exports.recognised(FILES / "export") == "labelme"


def test_classes_have_the_order_of_labels_txt():
    classes = LabelMe().read(Place(FILES / "export")).classes
    assert [one.name for one in classes] == ["scratch", "dent", "Ölfleck", "unused"]


def test_without_labels_txt_classes_are_sorted(tmp_path):
    write(tmp_path, [square(label="b"), square(label="a"), square(label="_background_")])
    assert [one.name for one in LabelMe().read(Place(tmp_path)).classes] == ["a", "b"]


def test_a_file_without_shapes_is_labelled_and_a_picture_without_file_is_not(tmp_path):
    write(tmp_path, [])
    picture(tmp_path / "other.png")
    export = LabelMe().read(Place(tmp_path))
    assert {one.name: one.done for one in export.pictures} == {"a.png": True, "other.png": False}


def test_one_file_alone_may_be_imported(tmp_path):
    write(tmp_path, [square()])
    picture(tmp_path / "other.png")
    assert list(exports.masks(exports.read(LabelMe(), tmp_path / "a.json"))) == ["a.png"]


@pytest.mark.parametrize(
    ("corner", "version", "first"),
    [
        ([-3, -2], "6.3.1", (0, 0)),  # 6.3.1 itself stops or draws at the opposite side
        ([45, 37], "7.9.1", (37, 45)),
        ([5.6, 7.6], "6.3.1", (7, 5)),
        ([5.6, 7.6], "7.9.1", (8, 6)),
    ],
)
def test_a_mask_is_cut_at_the_border_and_lies_at_a_whole_pixel(tmp_path, corner, version, first):
    write(tmp_path, [bitmap(np.ones((6, 8)), corner)], version=version)
    rows, columns = np.nonzero(exports.masks(exports.read(LabelMe(), tmp_path))["a.png"])
    assert (rows.min(), columns.min()) == first


def test_the_bitmaps_own_size_counts(tmp_path):
    node = bitmap(np.ones((6, 8)), [5, 5])
    node["points"][1] = [40, 40]
    write(tmp_path, [node])
    assert exports.masks(exports.read(LabelMe(), tmp_path))["a.png"].sum() == 48


def test_line_and_point_sizes_can_be_given(tmp_path):
    write(tmp_path, [square(shape_type="line", points=[[5, 5], [30, 5]])])
    mask = exports.masks(exports.read(LabelMe(), tmp_path), line_width=3)["a.png"]
    assert sorted(set(np.nonzero(mask)[0])) == [4, 5, 6]


def test_points_are_all_drawn(tmp_path):
    write(tmp_path, [square(shape_type="points", points=[[10, 10], [30, 10]])])
    mask = exports.masks(exports.read(LabelMe(), tmp_path), point_radius=1)["a.png"]
    assert mask[10, 10] and mask[10, 30] and mask.astype(bool).sum() < 20


def test_a_picture_is_found_by_its_name_wherever_the_file_says_it_was(tmp_path):
    write(tmp_path, [square()], path="C:\\Users\\me\\photos\\a.png")
    (one,) = LabelMe().read(Place(tmp_path)).pictures
    assert one.file == tmp_path.resolve() / "a.png"


def test_flags_and_strange_files_are_said(tmp_path):
    write(tmp_path, [square(flags={"blurred": True, "far": False})])
    (tmp_path / "package.json").write_text("{}")
    first, second = LabelMe().read(Place(tmp_path)).notes
    assert "blurred" in first and "far" not in first
    assert "package.json" in second


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"points": [[1, 1], [2, 2]]}, "a polygon of 2 points, expected three or more"),
        ({"points": "1,2"}, "points: found '1,2', expected a list"),
        ({"points": [[1, 2, 3]]}, r"expected points \[\[x, y\], …\]"),
        ({"points": [[10**400, 1], [2, 2], [3, 3]]}, r"expected points \[\[x, y\], …\]"),
        ({"label": None}, "label: found None, expected a text"),
        ({"shape_type": "rotation"}, "a shape of the type 'rotation', expected polygon"),
        ({"shape_type": "circle"}, "a circle of 4 points, expected 2"),
        ({"shape_type": "mask", "points": [[1, 1], [2, 2]]}, "mask: found None, expected a text"),
    ],
)
def test_a_damaged_shape_is_named(tmp_path, shape, said):
    write(tmp_path, [square(), square(**shape), square(**shape)])
    with pytest.raises(InputError, match=f"a.json shapes\\[1\\].*{said}") as error:
        LabelMe().read(Place(tmp_path))
    assert len(error.value.problems) == 2


def test_every_broken_file_is_named_at_once(tmp_path):
    write(tmp_path, [square()])
    (tmp_path / "b.json").write_text('{"shapes": [')
    (tmp_path / "c.json").write_text('{"shapes": 3, "imagePath": "a.png"}')
    (tmp_path / "d.json").write_text('{"shapes": [], "imagePath": 3}')
    (tmp_path / "e.json").write_text("[" * 100_000)
    with pytest.raises(InputError) as error:
        LabelMe().read(Place(tmp_path))
    assert len(error.value.problems) == 4


def test_a_picture_of_another_size_is_told(tmp_path):
    write(tmp_path, [square()], imageHeight=17)
    (one,) = LabelMe().read(Place(tmp_path)).pictures
    assert one.size == (17, 48)  # the import compares it with the file


def test_a_lost_picture_is_taken_from_the_file(tmp_path):
    (tmp_path / "export").mkdir()
    shutil.copy(FILES / "export" / "embedded.json", tmp_path / "export")
    (one,) = LabelMe().read(Place(tmp_path / "export")).pictures
    assert one.file is None and one.content is not None
    assert Image.open(io.BytesIO(one.content())).size == (48, 40)


def square(**changed) -> dict:
    start = {"label": "dent", "points": [[2, 2], [9, 2], [9, 9], [2, 9]], "shape_type": "polygon"}
    return {**start, "flags": {}, "mask": None, "group_id": None, **changed}


def bitmap(pixels: np.ndarray, corner: list[float]) -> dict:
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    end = [corner[0] + pixels.shape[1] - 1, corner[1] + pixels.shape[0] - 1]
    data = base64.b64encode(file.getvalue()).decode()
    return square(shape_type="mask", points=[corner, end], mask=data)


def picture(path: Path) -> None:
    Image.new("L", SIZE[::-1]).save(path)


def write(folder: Path, shapes: list, path: str = "a.png", **more) -> None:
    picture(folder / "a.png")
    content = {"version": "7.9.1", "imagePath": path, "imageData": None, "shapes": shapes}
    content |= {"imageHeight": 40, "imageWidth": 48, **more}
    (folder / "a.json").write_text(json.dumps(content))
