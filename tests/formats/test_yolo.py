"""YOLO's polygons become the pixels that they were traced from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from flexunet_exp.errors import InputError
from tests.support import exports

FILES = Path(__file__).parent / "files"
SQUARE = "0 0.25 0.25 0.5 0.25 0.5 0.5 0.25 0.5"  # columns 16 to 32, rows 12 to 24
NAMES = "train: images\nnames: [crack, dent]\n"


def written(folder: Path, rows: str | None, names: str = NAMES, split: str = "") -> Path:
    exports.save(folder / "images" / split / "a.png")
    (folder / "data.yaml").write_text(names)
    if rows is not None:
        text = folder / "labels" / split / "a.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(rows)
    return folder


def masks(folder: Path, **rules) -> dict[str, np.ndarray]:
    found = exports.masks(exports.read("yolo", folder), **rules)
    return {Path(name).name: mask for name, mask in found.items()}


def test_lines_are_inside_and_parts_of_the_picture_become_whole_pixels(tmp_path):
    mask = masks(written(tmp_path, SQUARE))["a.png"]
    assert mask[12:25, 16:33].all() and mask.sum() == 13 * 17


@pytest.mark.parametrize("width", [7, 48, 517, 4099])
def test_six_decimals_give_each_whole_pixel_back(tmp_path, width):
    exports.save(tmp_path / "images/a.png", (9, width))
    for x in {1, width // 3, width // 2, width - 1}:
        written_as = [f"{value:.6f}" for value in (x / width, 1 / 9, x / width, 3 / 9)]
        folder = tmp_path / str(x)
        exports.save(folder / "images/a.png", (9, width))
        (folder / "labels").mkdir()
        (folder / "data.yaml").write_text(NAMES)
        row = [0, *written_as, *written_as[:2]]
        (folder / "labels/a.txt").write_text(" ".join(map(str, row)))
        assert np.argwhere(masks(folder)["a.png"]).tolist() == [[1, x], [2, x], [3, x]]


def test_a_second_row_never_cuts_a_hole(tmp_path):
    inner = SQUARE.replace("0.25", "0.3").replace("0.5", "0.4")
    both = masks(written(tmp_path / "two", f"{SQUARE}\n{inner}\n"))["a.png"]
    assert (both == masks(written(tmp_path / "one", SQUARE))["a.png"]).all()


def test_supervision_cuts_holes_by_a_seam_and_writes_lines_as_boxes():
    folder = FILES / "yolo_supervision"
    wanted = np.load(folder / "mask.npy")
    with pytest.raises(InputError, match="labels/a.txt line 5: crack is a box"):
        masks(folder)
    found = masks(folder, boxes="ignore")
    assert not found["good.png"].any()
    # The seam is a line of the polygon, which belongs to it: from the corner of the ring to the
    # corner of its hole, all of it within the ring.
    rows, columns = np.nonzero((found["a.png"] == 2) != (wanted == 2))
    assert not len(rows)
    assert ((found["a.png"] == 1) == (wanted == 1))[:10].all()


def test_an_empty_text_is_a_good_picture_and_none_is_one_that_is_not_done(tmp_path):
    exports.save(tmp_path / "images/b.png")
    export = exports.read("yolo", written(tmp_path, ""))
    assert {one.name: one.done for one in export.pictures} == {
        "images/a.png": True, "images/b.png": False
    }  # fmt: skip


def test_names_may_be_a_mapping_with_gaps(tmp_path):
    names = "train: images\nnames:\n  7: dent\n  2: crack\n"
    export = exports.read("yolo", written(tmp_path, SQUARE.replace("0 ", "7 ", 1), names))
    assert exports.names(export) == ["crack", "dent"]
    assert export.pictures[0].objects[0].label == "dent"


@pytest.mark.parametrize(
    ("names", "inner"),
    [
        ("train: images/train\nval: images/val\ntest: images/test\nnames: [crack]",
         "images/{}/a.png"),
        ("path: .\ntrain: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
         "nc: 1\nnames: ['crack']", "{}/images/a.png"),
        ("train: one.txt\nval: two.txt\ntest: three.txt\nnames: [crack]", "images/{}/a.png"),
    ],
)  # fmt: skip
def test_splits_are_those_of_data_yaml(tmp_path, names, inner):
    for listing, split in zip(("one", "two", "three"), ("train", "val", "test"), strict=True):
        folder = "valid" if "valid" in names and split == "val" else split
        name = inner.format(folder)
        exports.save(tmp_path / name)
        (tmp_path / f"{listing}.txt").write_text(f"./{name}\n")
        text = tmp_path / name.replace("images", "labels").replace(".png", ".txt")
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(SQUARE)
    (tmp_path / "data.yaml").write_text(names)
    export = exports.read("yolo", tmp_path)
    assert sorted(one.split for one in export.pictures) == ["test", "train", "valid"]
    for one in export.pictures:
        assert {"val": "valid"}.get(one.split, one.split) in one.name.replace("/val/", "/valid/")
        assert len(one.objects) == 1


def test_one_name_in_two_splits_keeps_its_own_text(tmp_path):
    written(tmp_path, SQUARE, split="train")
    exports.save(tmp_path / "images/val/a.png")
    export = exports.read("yolo", tmp_path)
    assert {one.name: one.done for one in export.pictures} == {
        "images/train/a.png": True, "images/val/a.png": False
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("0.5 0.1 0.1 0.2 0.1 0.2 0.2", "the class 0.5"),
        ("0 0.1 0.1", "2 numbers after the class"),
        (f"{SQUARE}\n0 0.1 x 0.2 0.1 0.2 0.2", "line 2: found 'x', expected a number"),
        ("crack 0.1 0.1 0.2 0.1 0.2 0.2", "found 'crack', expected a number"),
    ],
)
def test_damaged_rows_end_in_a_sentence_that_names_them(tmp_path, rows, told):
    with pytest.raises(InputError) as caught:
        masks(written(tmp_path, rows))
    assert told in str(caught.value) and "labels/a.txt" in str(caught.value)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("train: images\nnames: 3\n", "found 3"),
        ("train: images\nnames: [[a]]\n", "expected a text"),
        ("train: images\nkpt_shape: [4, 2]\nnames: [a]\n", "poses"),
    ],
)
def test_a_damaged_data_yaml_ends_in_a_sentence(tmp_path, names, told):
    with pytest.raises(InputError, match=told):
        masks(written(tmp_path, SQUARE, names))


def test_a_text_without_its_picture_is_named(tmp_path):
    folder = written(tmp_path, SQUARE)
    (folder / "labels/b.txt").write_text(SQUARE)
    lacking = [one for one in exports.read("yolo", folder).pictures if not one.file]
    assert [one.written_in for one in lacking] == ["labels/b.txt"]


def test_it_is_recognised_by_its_data_yaml(tmp_path):
    assert exports.recognised(written(tmp_path, SQUARE)) == "yolo"
    assert exports.recognised(FILES / "yolo_supervision") == "yolo"


def test_a_traced_region_without_holes_comes_back(tmp_path):
    mask = np.zeros((48, 64), np.uint8)
    cv2.ellipse(mask, (30, 20), (20, 9), 30, 0, 360, 1, -1)
    (ring,), _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    row = " ".join(f"{value:.6f}" for value in (ring.reshape(-1, 2) / (64, 48)).ravel())
    assert (masks(written(tmp_path, f"0 {row}"))["a.png"] == mask).all()
