"""Label Studio's tasks become the masks that its SDK decodes, and the areas of its shapes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.data.annotations.formats import label_studio_regions
from flexunet_exp.data.annotations.shapes import Ellipse
from flexunet_exp.errors import InputError
from tests.support import exports

FILES = Path(__file__).parent / "files"
FOLDER = FILES / "label_studio"
WIDTH, HEIGHT = 64, 48


def fixture(name: str = "tasks.json"):
    return exports.read("label_studio", FOLDER / name, FOLDER / "images")


def by_stem(export) -> dict:
    """The pictures by their names without Label Studio's prefix."""
    return {Path(one.name).stem.split("-")[-1]: one for one in export.pictures}


def result(value: dict, **more) -> dict:
    kind = next((key for key in value if key.endswith("labels")), "choices")
    return {
        "id": "r", "type": kind, "original_width": WIDTH, "original_height": HEIGHT,
        "image_rotation": 0, "value": value, **more,
    }  # fmt: skip


def task(*results: dict, image: str = "/data/upload/1/0a1b2c3d-a.png", **more) -> dict:
    return {"id": 1, "data": {"image": image}, "annotations": [{"result": [*results]}], **more}


def written(folder: Path, *tasks: object) -> Path:
    exports.save(folder / "a.png")
    (folder / "tasks.json").write_text(json.dumps(tasks))
    return folder


def mask(folder: Path, *results: dict, **rules) -> np.ndarray:
    export = exports.read("label_studio", written(folder, task(*results)))
    return exports.masks(export, **rules)["a.png"]


BOX = {"x": 25.0, "y": 25.0, "width": 50.0, "height": 50.0, "rectanglelabels": ["dent"]}


@pytest.mark.parametrize("name", ["tasks.json", "min.json"])
@pytest.mark.parametrize("label", ["stain", "crack"])
def test_a_brush_has_the_pixels_whose_alpha_the_sdk_decodes(name, label):
    export = fixture(name)
    painted = by_stem(export)["painted"]
    decoded = next(FOLDER.glob(f"brushes/*-brush-{label}-0.png"))
    wanted = np.array(Image.open(decoded)) > 0
    number = exports.names(export).index(label) + 1
    (one,) = [one for one in painted.objects if one.label == label]
    drawn = export.tool.draw(exports.shape_in(one, wanted.shape), wanted.shape)
    found = np.zeros(wanted.shape, bool)
    found[drawn.place] = drawn.pixels
    assert wanted.any() and (found == wanted).all()
    on_top = exports.masks(export, annotator="last")["images/painted.png"] == number
    assert (on_top <= wanted).all() and on_top.any()


@pytest.mark.parametrize("name", ["tasks.json", "min.json"])
def test_shapes_are_percent_of_the_picture(name):
    export = fixture(name)
    polygon, box, oval = (one.shape for one in by_stem(export)["drawn"].objects)
    assert np.allclose(polygon.points, [[4.8, 3.2], [28.8, 4], [19.2, 26]])
    # 12 x 10 pixels, turned by 30 degrees about (24, 8), in pixels and not in percent.
    sides = np.diff(box.points, axis=0)
    assert np.allclose(box.points[0], (24, 8))
    assert np.allclose(np.hypot(*sides.T), [12, 10, 12])
    assert np.allclose(sides[0], [12 * np.cos(np.pi / 6), 6])
    assert oval == Ellipse((12, 24), (6, 3), 20)


def test_pixels_whose_middle_lies_inside_are_drawn(tmp_path):
    found = mask(tmp_path, result(BOX))
    assert found[12:36, 16:48].all() and found.sum() == 24 * 32


def test_a_rectangle_turned_by_a_right_angle_lies_left_of_its_corner(tmp_path):
    found = mask(tmp_path, result(BOX | {"x": 50.0, "width": 25.0, "rotation": 90}))
    rows, columns = np.nonzero(found)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 27, 8, 31)


def test_a_keypoint_has_an_area_only_where_one_is_given(tmp_path):
    point = result({"x": 50.0, "y": 50.0, "width": 0.5, "keypointlabels": ["dent"]})
    with pytest.raises(InputError, match="point_radius"):
        mask(tmp_path, point)
    assert 60 < mask(tmp_path, point, point_radius=5).sum() < 100


def test_a_task_is_done_when_someone_did_not_skip_it():
    for name in ("tasks.json", "min.json"):
        waiting = [stem for stem, one in by_stem(fixture(name)).items() if not one.done]
        assert sorted(waiting) == ["skipped", "waiting"]


def test_several_annotators_are_kept_apart_the_earliest_first():
    twice = by_stem(fixture())["twice"]
    assert {who: [one.label for one in objects] for who, objects in twice.by.items()} == {
        "p1@example.org": ["dent"], "p2@example.org": ["crack"]
    }  # fmt: skip
    assert list(twice.by) == ["p1@example.org", "p2@example.org"]


def test_predictions_and_choices_are_left_out_with_a_note(tmp_path):
    choice = result({"choices": ["wet"]}) | {"type": "choices"}
    said = task(result(BOX), choice, predictions=[{"result": [result(BOX)]}])
    export = exports.read("label_studio", written(tmp_path, said))
    assert len(export.pictures[0].objects) == 1
    assert len(export.notes) == 2 and "1 predictions" in "".join(export.notes)


def test_a_shape_and_its_label_may_be_two_results(tmp_path):
    shape = {key: value for key, value in BOX.items() if key != "rectanglelabels"}
    parts = result(shape) | {"type": "rectangle"}, result(shape | {"labels": ["dent"]})
    export = exports.read("label_studio", written(tmp_path, task(*parts)))
    assert [one.label for one in export.pictures[0].objects] == ["dent"]


@pytest.mark.parametrize(
    "image",
    [
        "/data/upload/1/0a1b2c3d-a.png",
        "/data/local-files/?d=photos/a.png",
        "s3://bucket/photos/a.png",
        "https://example.org/photos/a.png?signature=1%2F2",
        "upload/1/a.png",
        "a.png",
    ],
)
def test_pictures_are_found_by_their_name(tmp_path, image):
    export = exports.read("label_studio", written(tmp_path, task(result(BOX), image=image)))
    assert [(one.name, one.done) for one in export.pictures] == [("a.png", True)]


def test_its_coco_export_is_read():
    export = exports.read("coco", FILES / "label_studio_coco")
    shown = by_stem(export)
    assert exports.names(export) == ["crack", "dent", "stain", "wet"]
    assert [one.label for one in shown["drawn"].objects] == ["crack", "dent"]
    # It leaves brushes out, and the picture with them.
    assert not shown["painted"].done and len(shown["twice"].by) == 2


def test_its_yolo_export_is_read():
    export = exports.read("yolo", FILES / "label_studio_yolo")
    shown = by_stem(export)
    assert exports.names(export) == ["crack", "dent", "stain", "wet"]
    assert [one.label for one in shown["drawn"].objects] == ["crack", "dent"]
    shape = exports.shape_in(shown["drawn"].objects[0], (32, 48))
    assert np.allclose(shape.points, [[4.8, 3.2], [28.8, 4], [19.2, 26]])


def test_each_export_is_recognised():
    for name in ("label_studio_coco", "label_studio_yolo"):
        assert exports.recognised(FILES / name) == name.split("_")[-1]
    assert exports.recognised(FOLDER / "tasks.json") == "label_studio"
    assert exports.recognised(FOLDER / "min.json") == "label_studio"


BRUSH = {"format": "rle", "brushlabels": ["dent"]}
WHOLE = [0, 0, 0x30, 0, 0x39, 0x1B, 0xFF]  # 12,288 values of 8 bits


DAMAGED = {
    "no label": (
        result({key: BOX[key] for key in ("x", "y", "width", "height")}, type="rectangle"),
        "one label",
    ),
    "two labels": (result(BOX | {"rectanglelabels": ["a", "b"]}), "found a, b"),
    "a turned picture": (result(BOX, image_rotation=90), "Turn it back"),
    "no number": (result(BOX | {"x": "wide"}), "'wide', expected a number"),
    "no shape": (result({"imageDataURL": "data:", "bitmasklabels": ["a"]}), "expected a polygon"),
    "another size": (result(BRUSH | {"rle": [0, 0, 0, 9, *WHOLE[4:], 0]}), "9 values"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_regions_end_in_a_sentence_that_names_them(tmp_path, kind):
    damaged, told = DAMAGED[kind]
    with pytest.raises(InputError) as caught:
        mask(tmp_path, damaged)
    assert told in str(caught.value) and "tasks.json" in str(caught.value)


def test_a_brush_of_many_short_runs_is_decoded():
    values = np.random.default_rng(3).integers(0, 4, (9, 7, 4)).astype(np.uint8)
    bits = "".join(f"0{'00'}{0:03b}{value:08b}" for value in values.ravel())
    head = f"{values.size:032b}{7:05b}" + "".join(f"{n - 1:04b}" for n in (3, 4, 8, 16))
    stream = np.packbits(np.array([int(bit) for bit in head + bits], np.uint8))
    assert (label_studio_regions.painted(stream, (9, 7)).pixels == (values[..., 3] > 0)).all()
