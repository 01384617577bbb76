"""Annotations as they lie, without a copy: the same masks as flexunet import writes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.commands.import_ import command
from flexunet_exp.data.cache.disk_cache import DiskCache
from flexunet_exp.data.dataset import Dataset, from_table, load, rows
from flexunet_exp.errors import InputError

SIZE = (24, 32)
CLASSES = "dataset.classes=[{name:background,color:[0,0,0]},{name:dent,color:[255,0,0]},{name:scratch,color:[0,255,0]}]"  # noqa: E501
SQUARES = {  # of each picture: label and corners of its objects
    "a": [("scratch", (2, 3, 9, 8)), ("dent", (5.4, 5.6, 20, 20))],
    "b": [("dent", (1, 1, 7, 7))],
    "c": [("dent", (4, 4, 14, 9))],
    "d": [("scratch", (4, 4, 14, 9))],
    "e": [("scratch", (8, 2, 30, 12))],
    "f": [("scratch", (10, 2, 30, 22))],
    "g": [],
    "h": [],
    "i": [],
}


def pictures(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number, name in enumerate(SQUARES):
        noise = np.random.default_rng(number).integers(0, 255, (*SIZE, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{name}.png")


def corners(box) -> list:
    left, top, right, bottom = box
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def labelme(root: Path) -> None:
    pictures(root)
    for name, squares in SQUARES.items():
        shapes = [
            {"label": label, "shape_type": "polygon", "points": corners(box)}
            for label, box in squares
        ]
        content = {"shapes": shapes, "imagePath": f"{name}.png", "imageData": None,
                   "imageHeight": SIZE[0], "imageWidth": SIZE[1]}  # fmt: skip
        (root / f"{name}.json").write_text(json.dumps(content))


def coco(root: Path, names=tuple(SQUARES), file: str = "annotations/instances.json") -> None:
    if not (root / "images").is_dir():
        pictures(root / "images")
    ids = {"dent": 3, "scratch": 7}
    objects = [
        {"image_id": number, "category_id": ids[label], "bbox": [0, 0, 1, 1], "iscrowd": 0,
         "segmentation": [[*np.ravel(corners(box)).tolist()]]}
        for number, name in enumerate(names) for label, box in SQUARES[name]
    ]  # fmt: skip
    content = {
        "images": [{"id": number, "file_name": f"{name}.png", "height": SIZE[0], "width": SIZE[1]}
                   for number, name in enumerate(names)],
        "annotations": objects,
        "categories": [{"id": number, "name": label} for label, number in ids.items()],
    }  # fmt: skip
    (root / file).parent.mkdir(exist_ok=True)
    (root / file).write_text(json.dumps(content))


@pytest.fixture
def lying(compose, tmp_path):
    """The configuration of an export as it lies in tmp_path/export."""

    def configure(layout: str, *overrides: str):
        return compose(
            "train",
            f"dataset/layout={layout}",
            f"dataset.path='{tmp_path / 'export'}'",
            CLASSES,
            "dataset.good=all",
            *overrides,
        )

    return configure


@pytest.mark.parametrize(("layout", "make"), [("labelme", labelme), ("coco", coco)])
def test_masks_are_those_that_an_import_writes(lying, compose, tmp_path, monkeypatch, layout, make):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "export")
    words = [f"input='{tmp_path / 'export'}'", f"output='{tmp_path / 'set'}'", f"format={layout}"]
    command.task(compose("import", *words))
    with open(tmp_path / "set/manifest.csv", newline="") as file:
        of_import = {Path(row["original"]).name: row for row in csv.DictReader(file)}
    imported = load(
        compose("train", "dataset/layout=image_mask", f"dataset.path='{tmp_path / 'set'}'",
                "dataset.layout.sources=manifest.csv", "dataset.good=all", CLASSES)
    )  # fmt: skip
    theirs = {Path(row.image).stem: imported.layout.read_mask(row) for row in rows(imported.table)}

    dataset = load(lying(layout))

    mine = {Path(row.image).stem: dataset.layout.read_mask(row) for row in rows(dataset.table)}
    assert mine.keys() == theirs.keys() == SQUARES.keys()
    for name, mask in mine.items():
        np.testing.assert_array_equal(mask, theirs[name])
    assert {mask.max() for mask in mine.values()} == {0, 1, 2}
    for row in rows(dataset.table):
        assert row.label == of_import[Path(row.image).name]["label"]


@pytest.mark.parametrize(("layout", "make"), [("labelme", labelme), ("coco", coco)])
def test_a_table_alone_reads_the_same_masks(lying, tmp_path, layout, make):
    make(tmp_path / "export")
    cfg = lying(layout)
    dataset = load(cfg)

    again = from_table(cfg, dataset.table)

    for row in rows(dataset.table):
        np.testing.assert_array_equal(again.layout.read_mask(row), dataset.layout.read_mask(row))


def test_a_file_for_each_split_gives_the_splits(lying, tmp_path):
    coco(tmp_path / "export", ("a", "b", "d", "g"), "annotations/train.json")
    coco(tmp_path / "export", ("c", "e", "h"), "annotations/val.json")
    coco(tmp_path / "export", ("f", "i"), "annotations/test.json")

    table = load(lying("coco", "split=folders")).table

    found = {Path(row.image).stem: row.split for row in rows(table)}
    assert {found[name] for name in "abdg"} == {"train"}
    assert {found[name] for name in "ceh"} == {"valid"}
    assert {found[name] for name in "fi"} == {"test"}


def test_labels_are_merged_and_ignored(lying, tmp_path):
    labelme(tmp_path / "export")

    dataset = load(lying("labelme", "dataset.layout.labels={dent:[scratch]}"))
    ignoring = load(lying("labelme", "dataset.layout.ignore=[scratch]"))

    masks = {Path(row.image).stem: (dataset.layout.read_mask(row), ignoring.layout.read_mask(row))
             for row in rows(dataset.table)}  # fmt: skip
    assert np.unique(masks["d"][0]).tolist() == [0, 1]
    assert np.unique(masks["d"][1]).tolist() == [0, 255]


def test_an_unknown_label_is_named_with_what_helps(lying, tmp_path):
    labelme(tmp_path / "export")
    path = tmp_path / "export/a.json"
    path.write_text(path.read_text().replace("scratch", "kratzer"))

    with pytest.raises(InputError, match=r"labels kratzer are not in dataset.classes \(dent, scr"):
        load(lying("labelme"))


def test_pictures_that_nobody_labelled_need_a_choice(lying, tmp_path):
    labelme(tmp_path / "export")
    (tmp_path / "export/h.json").unlink()

    with pytest.raises(InputError, match="1 of 9 pictures have no annotations, such as h.png"):
        load(lying("labelme"))
    good = load(lying("labelme", "dataset.layout.unlabelled=good"))
    skipped = load(lying("labelme", "dataset.layout.unlabelled=skip"))

    assert len(good.table) == 9
    assert len(skipped.table) == 8
    assert not next(good.read(row)[1] for row in rows(good.table) if "h.png" in row.image).any()


def test_an_option_is_named_as_it_is_typed(lying, tmp_path):
    coco(tmp_path / "export")
    path = tmp_path / "export/annotations/instances.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"] = []
    path.write_text(json.dumps(content))

    with pytest.raises(InputError, match="Give dataset.layout.boxes=fill"):
        load(lying("coco"))


def test_a_missing_picture_and_another_size_are_problems_at_once(lying, tmp_path):
    labelme(tmp_path / "export")
    (tmp_path / "export/g.png").unlink()
    Image.new("RGB", (9, 9)).save(tmp_path / "export/b.png")

    with pytest.raises(InputError) as caught:
        load(lying("labelme"))

    text = "\n".join(caught.value.problems)
    assert "its picture g.png is not there" in text
    assert "b.png is 9 × 9 pixels, its annotations say 32 × 24" in text


def test_two_pictures_of_one_name_are_told_apart_by_their_folders(lying, tmp_path):
    root = tmp_path / "export"
    coco(root)
    path = root / "annotations/instances.json"
    content = json.loads(path.read_text())
    for image, inner in zip(content["images"][:2], ("left", "right"), strict=True):
        old = root / "images" / image["file_name"]
        image["file_name"] = f"{inner}/same.png"
        (root / "images" / inner).mkdir()
        old.rename(root / "images" / inner / "same.png")
    path.write_text(json.dumps(content))

    dataset = load(lying("coco"))

    masks = {Path(row.image).parent.name: dataset.layout.read_mask(row)
             for row in rows(dataset.table) if row.image.endswith("same.png")}  # fmt: skip
    assert np.unique(masks["left"]).tolist() == [0, 1, 2]
    assert np.unique(masks["right"]).tolist() == [0, 1]


def test_equal_pictures_of_one_file_keep_their_own_masks_in_the_disk_cache(lying, tmp_path):
    images = tmp_path / "export/images"
    coco(tmp_path / "export")
    (images / "b.png").write_bytes((images / "a.png").read_bytes())
    dataset = load(lying("coco"))

    cache = DiskCache(dataset, SIZE, tmp_path / "cache")

    for row in rows(dataset.table):
        np.testing.assert_array_equal(cache.read(row)[1], dataset.layout.read_mask(row))
    (tmp_path / "export").rename(tmp_path / "moved")
    moved = load(lying("coco", f"dataset.path='{tmp_path / 'moved'}'"))
    assert DiskCache(moved, SIZE, tmp_path / "cache").path == cache.path


def test_a_file_of_annotations_that_changes_while_the_disk_cache_is_built_is_refused(
    lying, tmp_path, monkeypatch
):
    coco(tmp_path / "export")
    dataset = load(lying("coco"))
    read = Dataset.read

    def changing(self, *arguments):
        coco(tmp_path / "export", ("a", "b"))
        return read(self, *arguments)

    monkeypatch.setattr(Dataset, "read", changing)
    with pytest.raises(InputError, match="changed"):
        DiskCache(dataset, SIZE, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("dataset.layout.labels={bump:[scratch]}", "bump is not in dataset.classes"),
        ("dataset.layout.labels={dent:scratch}", "expected the labels that become a class"),
        ("dataset.layout.labels=scratch", "expected the labels that become a class"),
        ("dataset.layout.ignore=scratch", "expected labels"),
        ("dataset.layout.line_width=wide", "expected pixels above 0"),
        ("dataset.layout.raster=best", "expected tool, centre, cover"),
        ("dataset.layout.format=os.system", "not among the packages"),
    ],
)
def test_a_wrong_option_ends_in_one_sentence(lying, tmp_path, override, sentence):
    labelme(tmp_path / "export")

    with pytest.raises(InputError, match=sentence):
        load(lying("labelme", override))
