"""COCO's files become the masks that pycocotools makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from flexunet_exp.data.annotations import raster
from flexunet_exp.errors import InputError
from tests.support import exports

FILES = Path(__file__).parent / "files" / "coco"
SIZE = HEIGHT, WIDTH = 48, 64
SQUARE = [10, 10, 20, 10, 20, 20, 10, 20]


def annotation(number: int, segmentation, **more) -> dict:
    box = {"bbox": [10, 10, 10, 10], "area": 100, "iscrowd": 0}
    return {
        "id": number, "image_id": 7, "category_id": 3, **box, "segmentation": segmentation, **more
    }  # fmt: skip


def content(*annotations, categories=({"id": 3, "name": "scratch"},), images=("a.png",)) -> dict:
    listed = [
        {"id": 7 + n, "file_name": name, "height": HEIGHT, "width": WIDTH}
        for n, name in enumerate(images)
    ]
    return {"images": listed, "annotations": [*annotations], "categories": [*categories]}


def written(folder: Path, said: object, name: str = "a.json") -> Path:
    exports.save(folder / "a.png")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(said if isinstance(said, str) else json.dumps(said))
    return folder


def by_pycocotools(path: Path, key: int) -> np.ndarray:
    tool = COCO(path)
    return tool.annToMask(tool.anns[key]).astype(bool)


def problem(folder: Path, **rules) -> str:
    with pytest.raises(InputError) as caught:
        exports.masks(exports.read("coco", folder), **rules)
    return str(caught.value)


def compressed(mask: np.ndarray) -> dict:
    found = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(found["size"]), "counts": found["counts"].decode()}


def uncompressed(mask: np.ndarray) -> dict:
    flat = np.concatenate([[0], mask.ravel("F"), [2]])
    starts = np.flatnonzero(np.diff(flat)) + 0
    runs = np.diff([0, *starts]).tolist()
    return {"size": list(mask.shape), "counts": runs if not mask[0, 0] else [0, *runs[1:]]}


RING = np.zeros(SIZE, bool)
RING[5:30, 8:40] = True
RING[12:20, 15:30] = False
SHAPES = {
    "square": [SQUARE],
    "fractions": [[10.4, 10.6, 30.3, 12.2, 22.9, 40.1]],
    "two parts": [SQUARE, [40, 30, 50, 30, 50, 44]],
    "parts that overlap": [SQUARE, [12, 12, 16, 12, 16, 16, 12, 16]],
    "bow tie": [[10, 10, 30, 30, 30, 10, 10, 30]],
    "over the edge": [[-8, -5.5, 30, -4, 70.2, 60, 10, 52]],
    "outside": [[70, 50, 90, 50, 90, 90]],
    "thin": [[10, 10, 30, 10.1, 10, 10.2]],
    "compressed": compressed(RING),
    "uncompressed": uncompressed(RING),
    "from the first pixel": compressed(~RING),
    "none": compressed(np.zeros(SIZE, bool)),
    "all": compressed(np.ones(SIZE, bool)),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_a_shape_takes_the_pixels_of_pycocotools(tmp_path, kind):
    folder = written(tmp_path, content(annotation(1, SHAPES[kind])))
    (mask,) = exports.masks(exports.read("coco", folder)).values()
    assert (mask.astype(bool) == by_pycocotools(folder / "a.json", 1)).all()


points = st.lists(st.floats(-20, 90, allow_nan=False).map(lambda x: round(x, 1)), min_size=6,
                  max_size=16).map(lambda flat: flat[: len(flat) // 2 * 2])  # fmt: skip


@given(parts=st.lists(points, min_size=1, max_size=2))
def test_any_polygon_takes_the_pixels_of_pycocotools(parts):
    # Coordinates of one decimal lie where a fifth of a pixel is rounded up or down.
    rings = [np.array(part).reshape(-1, 2) for part in parts]
    found = raster.union([raster.by_coco((ring,), SIZE) for ring in rings])
    mask = np.zeros(SIZE, bool)
    mask[found.place] = found.pixels
    runs = coco_mask.merge(coco_mask.frPyObjects(parts, *SIZE))
    assert (mask == coco_mask.decode(runs).astype(bool)).all()


def test_a_square_has_the_pixels_between_its_corners(tmp_path):
    folder = written(tmp_path, content(annotation(1, [SQUARE])))
    (mask,) = exports.masks(exports.read("coco", folder)).values()
    assert mask.sum() == 100 and mask[10:20, 10:20].all()


def test_polygons_of_an_annotation_never_cut_a_hole(tmp_path):
    inner = [12, 12, 16, 12, 16, 16, 12, 16]
    folder = written(tmp_path, content(annotation(1, [SQUARE, inner])))
    (mask,) = exports.masks(exports.read("coco", folder)).values()
    assert mask.sum() == 100


def test_classes_go_by_the_list_of_categories(tmp_path):
    categories = [
        {"id": 9, "name": "dent"}, {"id": 0, "name": "scratch"}, {"id": 4, "name": "crack"}
    ]  # fmt: skip
    folder = written(
        tmp_path, content(annotation(1, [SQUARE], category_id=0), categories=categories)
    )
    export = exports.read("coco", folder)
    assert exports.names(export) == ["scratch", "crack", "dent"]
    assert exports.masks(export)["a.png"].max() == 1


def test_two_categories_of_one_name_are_told_apart_by_what_stands_above(tmp_path):
    categories = [
        {"id": 1, "name": "dent", "supercategory": "frame"},
        {"id": 2, "name": "dent", "supercategory": "door"},
        {"id": 3, "name": "crack", "supercategory": "door"},
    ]
    folder = written(
        tmp_path, content(annotation(1, [SQUARE], category_id=2), categories=categories)
    )
    export = exports.read("coco", folder)
    assert exports.names(export) == ["frame_dent", "door_dent", "crack"]
    assert export.pictures[0].objects[0].label == "door_dent"


def test_the_category_above_the_others_is_no_class(tmp_path):
    categories = [
        {"id": 0, "name": "defects", "supercategory": "none"},
        {"id": 1, "name": "crack", "supercategory": "defects"},
        {"id": 2, "name": "dent", "supercategory": "defects"},
    ]
    said = content(annotation(1, [SQUARE], category_id=2), categories=categories)
    export = exports.read("coco", written(tmp_path, said))
    assert exports.names(export) == ["crack", "dent"] and "'defects'" in export.notes[0]
    said = content(annotation(1, [SQUARE], category_id=0), categories=categories)
    export = exports.read("coco", written(tmp_path / "used", said))
    assert exports.names(export) == ["defects", "crack", "dent"] and not export.notes


@pytest.mark.parametrize("segmentation", [[], None, [[]]])
def test_an_object_without_pixels_is_a_box_and_not_a_good_picture(tmp_path, segmentation):
    folder = written(tmp_path, content(annotation(1, segmentation)))
    assert "boxes=fill" in problem(folder)
    export = exports.read("coco", folder)
    assert exports.masks(export, boxes="fill")["a.png"][10:20, 10:20].all()
    assert (exports.masks(export, boxes="ignore")["a.png"] == 255).sum() == 100


def test_a_crowd_is_an_object_unless_it_is_to_be_ignored(tmp_path):
    folder = written(tmp_path, content(annotation(1, compressed(RING), iscrowd=1)))
    export = exports.read("coco", folder)
    assert (exports.masks(export)["a.png"] == RING).all()
    assert ((exports.masks(export, crowd="ignore")["a.png"] == 255) == RING).all()


def test_a_picture_without_annotations_is_good_and_one_that_is_not_listed_is_not_done(tmp_path):
    exports.save(tmp_path / "b.png")
    exports.save(tmp_path / "c.png")
    export = exports.read("coco", written(tmp_path, content(images=["a.png", "b.png"])))
    assert {one.name: one.done for one in export.pictures} == {
        "a.png": True, "b.png": True, "c.png": False
    }  # fmt: skip


def test_each_file_is_a_split(tmp_path):
    for split in ("train", "val", "test"):
        exports.save(tmp_path / f"images/{split}.png")
        said = content(images=[f"{split}.png"])
        written(tmp_path, said, f"annotations/instances_{split}2017.json")
    (tmp_path / "a.png").unlink()
    export = exports.read("coco", tmp_path)
    assert {Path(one.name).stem: one.split for one in export.pictures} == {
        "train": "train", "val": "valid", "test": "test"
    }  # fmt: skip


def test_roboflow_keeps_a_file_in_the_folder_of_each_split(tmp_path):
    for split in ("train", "valid", "test"):
        exports.save(tmp_path / f"{split}/a.png")
        said = content(annotation(1, [SQUARE]))
        written(tmp_path, said, f"{split}/_annotations.coco.json")
    (tmp_path / "a.png").unlink()
    export = exports.read("coco", tmp_path)
    assert [(one.name, one.split) for one in export.pictures] == [
        ("test/a.png", "test"), ("train/a.png", "train"), ("valid/a.png", "valid")
    ]  # fmt: skip


def test_a_picture_in_two_files_is_refused(tmp_path):
    written(tmp_path, content(), "instances_train.json")
    written(tmp_path, content(), "instances_test.json")
    assert "lists a.png, which instances_test.json lists too" in problem(tmp_path)


def test_a_picture_that_each_annotator_lists_has_the_objects_of_each(tmp_path):
    said = content(annotation(1, [SQUARE]), images=["a.png", "a.png"])
    export = exports.read("coco", written(tmp_path, said))
    assert [len(objects) for objects in export.pictures[0].by.values()] == [1, 0]
    assert not exports.masks(export, annotator="last")["a.png"].any()


def test_datumaro_calls_every_mask_a_crowd_and_none_is_lost():
    export = exports.read("coco", FILES.parent / "coco_datumaro")
    assert exports.names(export) == ["crack", "dent"]
    assert [one.crowd for one in export.pictures[0].objects] == [True] * 4
    masks = exports.masks(export)
    assert (masks["images/default/a.png"] == np.load(FILES.parent / "coco_datumaro/mask.npy")).all()
    assert not masks["images/default/good.png"].any()


def test_supervision_traces_the_middles_of_pixels_so_that_a_row_and_a_column_are_lost():
    export = exports.read("coco", FILES.parent / "coco_supervision")
    wanted = np.load(FILES.parent / "coco_supervision/mask.npy")
    a_line = export.pictures[0].objects[3]
    assert exports.names(export) == ["crack", "dent"] and "BoxOnly" in repr(a_line.shape)
    found = exports.masks(export, boxes="ignore")["images/a.png"]
    assert ((found == 2) == (wanted == 2)).all()  # run lengths: the hole, and both parts
    assert found[3:8, 4:23].all() and (found == 1).sum() == 19 * 5 != (wanted[:10] == 1).sum()


def test_each_export_is_recognised():
    for name in ("coco_datumaro", "coco_supervision"):
        assert exports.recognised(FILES.parent / name) == "coco"
