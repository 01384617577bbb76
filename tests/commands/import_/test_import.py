"""flexunet import: from LabelMe's files to a data set that trains by its name."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from flexunet_exp.commands.import_ import command
from flexunet_exp.data import masks
from flexunet_exp.data.layouts import ImageMask
from flexunet_exp.data.scan_record import accepted
from tests.support.running import Command, flexunet, train, wait_until

WIDTH, HEIGHT = 96, 64


def shape(label: str, kind: str = "polygon", points=((20, 20), (40, 20), (40, 40), (20, 40))):
    return {"label": label, "shape_type": kind, "points": [[*map(float, p)] for p in points]}


def photo(folder: Path, name: str, *shapes: dict, size=(HEIGHT, WIDTH), labelled: bool = True):
    """A picture of noise, and LabelMe's file beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([*name.encode()]).integers(
        0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8
    )
    cv2.imwrite(str(folder / f"{name}.png"), noise)
    if labelled:
        sizes = {"imageHeight": size[0], "imageWidth": size[1]}
        content = {"shapes": [*shapes], "imagePath": f"{name}.png", "imageData": None, **sizes}
        (folder / f"{name}.json").write_text(json.dumps(content))


@pytest.fixture
def photos(tmp_path) -> Path:
    """Twelve pictures: scratches under two names, dents, and good ones."""
    for number in range(4):
        photo(tmp_path / "photos", f"a{number}", shape("scratch"), shape("Scratch"))
        photo(tmp_path / "photos", f"b{number}", shape("dent", "circle", [(50, 30), (58, 30)]))
        photo(tmp_path / "photos", f"c{number}")
    return tmp_path / "photos"


def imported(folder: Path, *words: str):
    return flexunet(folder, "import", "input=photos", "output=bolt", *words)


def manifest(folder: Path) -> list[dict]:
    with open(folder / "bolt/manifest.csv", newline="") as file:
        return list(csv.DictReader(file))


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


MERGED = "classes={scratch: [scratch, Scratch]}"


@pytest.mark.heavy
def test_what_a_person_labelled_trains_by_its_name(photos, tmp_path):
    done = imported(tmp_path, MERGED)
    assert done.returncode == 0, done.stdout
    assert "Format: LabelMe" in done.stdout
    assert "Train on it  flexunet train dataset=bolt" in done.stdout
    rows = manifest(tmp_path)
    assert {row["label"] for row in rows} == {"scratch", "dent", "good"}
    for row in rows:
        picture = (tmp_path / "bolt" / row["image"]).read_bytes()
        assert picture == (photos / row["original"]).read_bytes()
        mask = cv2.imread(str(tmp_path / "bolt" / row["mask"]), cv2.IMREAD_UNCHANGED)
        assert mask.shape[:2] == (HEIGHT, WIDTH)
    small = ("model.base_filters=2", "model.num_layers=3", "dataset.image_size=64")
    done = train(tmp_path, "dataset=bolt", *small, "trainer.epochs=1", "tracking=none")
    assert done.returncode == 0, done.stdout
    assert "dent" in done.stdout and "scratch" in done.stdout


def test_the_files_depend_on_neither_the_workers_nor_an_interruption(photos, tmp_path):
    assert imported(tmp_path, MERGED, "workers=1").returncode == 0
    alone = files_of(tmp_path / "bolt")
    again = tmp_path / "again"
    again.mkdir()
    photos.rename(again / "photos")
    command = Command(
        again, "-m", "flexunet_exp", "import", "input=photos", "output=bolt", MERGED, "workers=4"
    )
    journal = again / ".bolt.preparing/journal.jsonl"
    wait_until(lambda: command.poll() is not None or journal.is_file())
    command.kill()
    command.wait()
    done = imported(again, MERGED, "workers=4")
    assert done.returncode == 0, done.stdout
    assert files_of(again / "bolt") == alone
    assert "It was made already" in imported(again, MERGED).stdout


def test_all_problems_are_told_at_once_and_nothing_is_written(tmp_path):
    folder = tmp_path / "photos"
    photo(folder, "small", shape("dent"), size=(10, 10))
    photo(folder, "flat", shape("dent", "polygon", [(1, 1), (float("nan"), 2), (3, 3)]))
    photo(folder, "new", labelled=False)
    done = imported(tmp_path)
    assert done.returncode == 1
    assert "1 of 3 pictures have no annotations" in done.stdout
    assert "unlabelled=good" in done.stdout
    done = imported(tmp_path, "unlabelled=skip")
    assert done.returncode == 1
    assert f"small.png is {WIDTH} × {HEIGHT} pixels, its annotations say 10 × 10" in done.stdout
    assert "coordinates that are no numbers" in done.stdout
    assert not (tmp_path / "bolt").exists() and not (tmp_path / "conf").exists()


@pytest.mark.parametrize(
    "choice, pictures, good", [("unlabelled=good", 4, 1), ("unlabelled=skip", 3, 0)]
)
def test_a_picture_that_nobody_labelled_is_good_or_left_out(tmp_path, choice, pictures, good):
    for number in range(3):
        photo(tmp_path / "photos", f"a{number}", shape("dent"))
    photo(tmp_path / "photos", "new", labelled=False)
    assert imported(tmp_path, choice).returncode == 0
    rows = manifest(tmp_path)
    assert len(rows) == pictures and sum(row["label"] == "good" for row in rows) == good


def test_pictures_of_one_part_stay_together_also_in_cross_validation(tmp_path):
    for part in range(6):
        for camera in range(3):
            photo(tmp_path / "photos", f"p{part}_cam{camera}", shape("dent"))
    done = imported(tmp_path, r"group=(.+)_cam\d")
    assert done.returncode == 0, done.stdout
    splits: dict[str, set] = {}
    for row in manifest(tmp_path):
        splits.setdefault(row["source"], set()).add(row["split"])
    assert sorted(splits) == [f"p{part}" for part in range(6)]
    assert all(len(found) == 1 for found in splits.values())
    checked = flexunet(tmp_path, "check", "dataset=bolt", "split=folds", "split.n=3")
    assert "dent   6 / 2 / 3" in checked.stdout, checked.stdout


def test_what_drawing_lost_is_told_and_strict_ends_with_1(tmp_path):
    for number in range(3):
        photo(tmp_path / "photos", f"a{number}", shape("dent"))
    photo(
        tmp_path / "photos",
        "lost",
        shape("dent", points=[(200, 200), (220, 200), (220, 220)]),
        shape("dent"),
        shape("scratch"),
    )
    done = imported(tmp_path, "strict=true")
    assert done.returncode == 1
    assert "lost.json shapes[0]: dent has no pixel: it lies outside of the picture" in done.stdout
    assert "lost.json shapes[1]: dent is covered by others" in done.stdout
    (row,) = [row for row in manifest(tmp_path) if row["original"] == "lost.png"]
    assert len(json.loads(row["losses"])) == 2
    assert json.loads(row["objects"]) == {"dent": 1, "scratch": 1}


@pytest.mark.parametrize(
    "words, said",
    [
        (["raster=exact"], "raster=exact"),
        (["group=(.+"], "no regular expression"),
        (["group=cam"], "expected a group in brackets"),
        (["classes={dent: [dint]}"], "Did you mean 'dent'?"),
        (["classes={a: [dent], b: [dent]}"], "'dent' is named by classes.a and by classes.b"),
        (["ignore=[dent]"], "No class is left"),
        (["format=labelmee"], "Did you mean 'labelme'?"),
        (["name=9bolts"], "expected letters"),
        (["input=nowhere"], "there is no such file or folder"),
        (["output=photos/set"], "one inside the other"),
        (["images=nowhere"], "there is no such file or folder"),
    ],
)
def test_a_wrong_word_is_answered_with_what_to_type(tmp_path, words, said):
    for number in range(3):
        photo(tmp_path / "photos", f"a{number}", shape("dent"))
    done = imported(tmp_path, *words)
    assert done.returncode == 1 and said in done.stdout, done.stdout
    assert "Traceback" not in done.stdout and not (tmp_path / "conf").exists()


def test_a_name_that_another_set_has_is_refused_before_anything_is_made(photos, tmp_path):
    (tmp_path / "conf/dataset").mkdir(parents=True)
    (tmp_path / "conf/dataset/bolt.yaml").write_text("name: mine\n")
    done = imported(tmp_path)
    assert done.returncode == 1 and "name=ANOTHER" in done.stdout
    assert not (tmp_path / "bolt").exists()


@pytest.mark.parametrize(
    "labels, said",
    [
        (["good"], "is no name of a class"),
        (["bad weld", "bad_weld"], "would both be the class bad_weld"),
        (["油"], "classes={new: [油]}"),
    ],
)
def test_a_label_that_no_class_can_be_called_is_asked_for(tmp_path, labels, said):
    for number in range(3):
        photo(tmp_path / "photos", f"a{number}", *map(shape, labels))
    done = imported(tmp_path)
    oneline = " ".join(done.stdout.split())
    assert done.returncode == 1 and said in oneline, done.stdout
    assert not (tmp_path / "conf").exists()


def test_a_label_is_never_resolved_as_a_configuration(tmp_path):
    for number in range(3):
        photo(tmp_path / "photos", f"a{number}", shape("${oc.env:HOME}"))
    assert imported(tmp_path).returncode == 0
    assert {row["label"] for row in manifest(tmp_path)} == {"oc_env_HOME"}


def test_spaces_in_labels_and_alike_names_of_pictures_are_mended(tmp_path):
    for number in range(3):
        photo(tmp_path / "photos" / f"day {number}", "a 1", shape("Ölfleck groß"))
    assert imported(tmp_path).returncode == 0
    rows = manifest(tmp_path)
    assert {row["label"] for row in rows} == {"Olfleck_groß"}
    assert len({row["image"] for row in rows}) == 3
    (tmp_path / "two").mkdir()
    for name in ("a 1", "a_1"):
        photo(tmp_path / "two/photos", name, shape("dent"))
    done = imported(tmp_path / "two")
    assert done.returncode == 1 and "2 pictures would have one name" in done.stdout


def test_ignored_labels_are_255_and_overlaps_follow_the_rule(tmp_path):
    for number in range(3):
        inner = shape("dot", points=[(25, 25), (30, 25), (30, 30), (25, 30)])
        photo(
            tmp_path / "photos",
            f"a{number}",
            inner,
            shape("dent"),
            shape("unsure", points=[(60, 20), (70, 20), (70, 30)]),
        )
    done = imported(tmp_path, "ignore=[unsure]", "overlap=small_over_large")
    assert done.returncode == 0, done.stdout
    for row in manifest(tmp_path):
        mask = cv2.imread(str(tmp_path / "bolt" / row["mask"]), cv2.IMREAD_UNCHANGED)
        assert "dot" in json.loads(row["pixels"])
        assert mask is not None
    (tmp_path / "second").mkdir()
    (tmp_path / "photos").rename(tmp_path / "second/photos")
    done = imported(tmp_path / "second", "overlap=error")
    assert done.returncode == 1 and "covers an object of another class" in done.stdout


def turned_photo(folder: Path, name: str, grey: bool, tag: int) -> Path:
    """A picture of 96 × 64 stored pixels that EXIF shows as 64 × 96, and LabelMe's file."""
    photo(folder, name, shape("dent"), size=(WIDTH, HEIGHT))
    stored = Image.open(folder / f"{name}.png")
    exif = Image.Exif()
    exif[274] = tag
    if grey:
        pixels = np.asarray(stored.convert("L")).astype(np.uint16) * 200
        Image.fromarray(pixels).save(folder / f"{name}.png", exif=exif)
        return folder / f"{name}.png"
    stored.save(folder / f"{name}.jpg", exif=exif)
    (folder / f"{name}.png").unlink()
    said = (folder / f"{name}.json").read_text().replace(f"{name}.png", f"{name}.jpg")
    (folder / f"{name}.json").write_text(said)
    return folder / f"{name}.jpg"


def test_pictures_that_exif_turns_are_written_upright(photos, tmp_path, compose, monkeypatch):
    monkeypatch.chdir(tmp_path)
    turned = [turned_photo(photos, f"t{tag}", tag == 8, tag) for tag in (6, 8)]
    command.task(compose("import", f"input='{photos}'", f"output='{tmp_path / 'bolt'}'", MERGED))
    rows = {row["original"]: row for row in manifest(tmp_path)}
    for path in turned:
        picture = tmp_path / "bolt" / rows[path.name]["image"]
        assert picture.suffix == ".png"
        np.testing.assert_array_equal(masks.read_image(picture), masks.read_image(path))
        assert Image.open(picture).size == (HEIGHT, WIDTH)
    assert Image.open(tmp_path / "bolt" / rows["t8.png"]["image"]).mode == "I;16"
    said = json.loads((tmp_path / "bolt/imported.json").read_text())["classes"]
    layout = ImageMask(said, "all", sources="manifest.csv")
    table = accepted(layout.scan(tmp_path / "bolt")).table
    assert len(table) == 14
    recorded = {row["sha256"]: row for row in rows.values()}
    assert all(sha256 in recorded for sha256 in table["sha256"])
