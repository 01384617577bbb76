"""The folder layouts: what they find, and that they name everything that is wrong."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from flexunet_exp.data import synthetic
from flexunet_exp.data.layouts import ImageMask, MVTec, Synthetic, parse_name
from flexunet_exp.data.scan_record import accepted
from flexunet_exp.errors import InputError

CLASSES = [
    {"name": "background", "color": [0, 0, 0]},
    {"name": "bent", "color": [0, 0, 255]},
    {"name": "cut", "color": [0, 255, 0]},
]
COLUMNS = ["image", "mask", "label", "source", "variant", "split", "width", "height", "sha256"]


def write(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def write_image(path: Path, seed: int = 0) -> Path:
    return write(path, np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8))


def defect(value, shape=(6, 8)) -> np.ndarray:
    mask = np.zeros((*shape, *np.shape(value)), np.uint8)
    mask[2:4, 1:5] = value
    return mask


@pytest.fixture
def raw(tmp_path) -> Path:
    """A raw MVTec AD folder: two bent, one cut, two good for test, one good for train."""
    for name, count in (("bent", 2), ("cut", 1)):
        for i in range(count):
            write_image(tmp_path / "test" / name / f"{i:03}.png", i)
            write(tmp_path / "ground_truth" / name / f"{i:03}_mask.png", defect(255))
    for path in ("test/good/000.png", "test/good/001.png", "train/good/000.png"):
        write_image(tmp_path / path)
    return tmp_path


@pytest.fixture
def ready(tmp_path) -> Path:
    """An image/mask folder: bent_1 and a copy of it, cut_2, a defect-free picture, no valid."""
    for name, value in (
        ("train/{}/bent_1.png", (0, 0, 255)),
        ("train/{}/hflipped_bent_1.png", (0, 0, 255)),
        ("train/{}/good_7.png", (0, 0, 0)),
        ("test/{}/cut_2.png", (0, 255, 0)),
    ):
        write_image(tmp_path / name.format("images"))
        write(tmp_path / name.format("masks"), defect(value))
    return tmp_path


def scanned(layout, folder: Path) -> pd.DataFrame:
    return accepted(layout.scan(folder)).table


def problems_of(layout, folder: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        scanned(layout, folder)
    return caught.value.problems


def only(problems: list[str], *words: str) -> None:
    """Exactly one problem, holding all the words."""
    assert len(problems) == 1, problems
    for word in words:
        assert word in problems[0]


def test_raw_pictures_pair_with_their_masks(raw):
    table = scanned(MVTec(CLASSES), raw)
    assert list(table) == COLUMNS
    assert table["source"].tolist() == ["bent/000", "bent/001", "cut/000", "good/000", "good/001"]
    assert table["label"].tolist() == ["bent", "bent", "cut", "good", "good"]
    assert set(table["variant"]) == {"original"} and set(table["split"]) == {""}
    bent = table.iloc[1]
    assert bent["image"] == str(raw / "test/bent/001.png")
    assert bent["mask"] == str(raw / "ground_truth/bent/001_mask.png")
    assert (bent["width"], bent["height"]) == (8, 6)
    assert bent["sha256"] == hashlib.sha256(Path(bent["image"]).read_bytes()).hexdigest()
    assert set(table.loc[table["label"] == "good", "mask"]) == {""}


@pytest.mark.parametrize(
    "good, sources",
    [
        ("none", []),
        ("test", ["good/000", "good/001"]),
        ("all", ["good/000", "good/001", "train_good/000"]),
    ],
)
def test_good_pictures_join_as_asked(raw, good, sources):
    table = scanned(MVTec(CLASSES, good), raw)
    assert table.loc[table["label"] == "good", "source"].tolist() == sources


def test_good_of_another_kind_is_refused():
    for layout in (MVTec, ImageMask):
        with pytest.raises(InputError, match="none, test, all"):
            layout(CLASSES, good="some")


def test_mask_of_a_row_holds_its_class(raw):
    layout = MVTec(CLASSES)
    table = scanned(layout, raw)
    expected = [defect(1), defect(1), defect(2), defect(0), defect(0)]
    for sample, row, mask in zip(table.itertuples(), table.iloc, expected, strict=True):
        np.testing.assert_array_equal(layout.read_mask(sample), mask)
        np.testing.assert_array_equal(layout.read_mask(row), mask)


def test_relative_folder_gives_absolute_paths(raw, monkeypatch):
    monkeypatch.chdir(raw.parent)
    table = scanned(MVTec(CLASSES), Path(raw.name))
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in table["image"])


def test_suffixes_in_any_case_and_system_files(raw, caplog):
    (raw / "test/cut/000.png").rename(raw / "test/cut/000.PNG")
    for name in (".DS_Store", "Thumbs.db", ".hidden.png", "notes.txt"):
        (raw / "test/cut" / name).write_text("x")
    assert len(scanned(MVTec(CLASSES), raw)) == 5
    assert "notes.txt" in caplog.text and "Thumbs.db" not in caplog.text


def test_image_without_mask(raw):
    (raw / "ground_truth/bent/001_mask.png").unlink()
    only(problems_of(MVTec(CLASSES), raw), "test/bent/001.png", "without a mask", "ground_truth")


def test_mask_without_image(raw):
    (raw / "test/bent/001.png").unlink()
    only(problems_of(MVTec(CLASSES), raw), "bent/001_mask.png", "without an image")


def test_missing_pair_does_not_shift_the_others(raw):
    write_image(raw / "test/bent/0005.png")
    only(problems_of(MVTec(CLASSES), raw), "test/bent/0005.png")


def test_mask_of_another_size(raw):
    write(raw / "ground_truth/cut/000_mask.png", defect(255, (8, 6)))
    only(problems_of(MVTec(CLASSES), raw), "test/cut/000.png is 8 x 6", "000_mask.png is 6 x 8")


def test_truncated_image(raw):
    path = raw / "test/good/001.png"
    path.write_bytes(path.read_bytes()[:-30])
    only(problems_of(MVTec(CLASSES), raw), "test/good/001.png", "cut off")


def test_interpolated_mask(raw):
    write(raw / "ground_truth/cut/000_mask.png", defect(200))
    only(problems_of(MVTec(CLASSES), raw), "cut/000_mask.png", "200")


def test_unknown_defect_folder_names_the_known_ones(raw):
    shutil.copytree(raw / "test/cut", raw / "test/crack")
    only(problems_of(MVTec(CLASSES), raw), "crack", "bent, cut", "dataset.classes")


def test_two_images_of_one_stem(raw):
    write_image(raw / "test/cut/000.jpg")
    only(problems_of(MVTec(CLASSES), raw), "000.jpg", "000.png", "one stem")


def test_all_problems_are_told_at_once(raw):
    (raw / "test/bent/000.png").write_bytes(b"")
    (raw / "ground_truth/bent/000_mask.png").write_text("no picture")
    (raw / "ground_truth/bent/001_mask.png").unlink()
    (raw / "test/crack").mkdir()
    told = "\n".join(problems_of(MVTec(CLASSES), raw))
    for file in ("bent/000.png", "bent/000_mask.png", "bent/001.png", "crack"):
        assert file in told


def test_configured_class_without_folder_is_a_warning(raw, caplog):
    classes = [*CLASSES, {"name": "crack", "color": [255, 0, 0]}]
    assert len(scanned(MVTec(classes), raw)) == 5
    assert "crack" in caplog.text


@pytest.mark.parametrize("layout", [MVTec(CLASSES), ImageMask(CLASSES)])
def test_missing_folder_says_where_to_get_one(tmp_path, layout):
    told = "\n".join(problems_of(layout, tmp_path / "nowhere"))
    for word in ("nowhere", "mvtec.com", "dataset.path=", "data_root=", "layout=synthetic"):
        assert word in told


@pytest.mark.parametrize("layout", [MVTec(CLASSES), ImageMask(CLASSES)])
def test_empty_folder_says_what_was_expected(tmp_path, layout):
    only(problems_of(layout, tmp_path), str(tmp_path), "expected", "dataset/layout")


def test_folder_without_pictures_is_refused(raw):
    shutil.rmtree(raw / "ground_truth")
    for name in ("bent", "cut"):
        shutil.rmtree(raw / "test" / name)
    only(problems_of(MVTec(CLASSES, good="none"), raw), str(raw), "no pictures")


def test_symlink_loops_do_not_hang(raw):
    (raw / "test/bent/loop").symlink_to(raw / "test", target_is_directory=True)
    assert len(scanned(MVTec(CLASSES), raw)) == 5
    (raw / "test/cut/self.png").symlink_to(raw / "test/cut/self.png")
    only(problems_of(MVTec(CLASSES), raw), "test/cut/self.png", "without a mask")


def test_data_set_behind_a_symlink(raw, tmp_path_factory):
    link = tmp_path_factory.mktemp("link") / "grid"
    link.symlink_to(raw, target_is_directory=True)
    table = scanned(MVTec(CLASSES), link)
    assert len(table) == 5 and table["image"].str.startswith(str(link)).all()


def test_ready_splits_sources_and_variants(ready):
    table = scanned(ImageMask(CLASSES), ready)
    assert list(table) == COLUMNS
    assert table[["source", "variant", "label", "split"]].values.tolist() == [
        ["bent_1", "original", "bent", "train"],
        ["good_7", "original", "good", "train"],
        ["bent_1", "hflipped", "bent", "train"],
        ["cut_2", "original", "cut", "test"],
    ]


def test_ready_defect_free_pictures_of_train_and_test_are_no_siblings(ready):
    for kind, array in (("images", np.zeros((6, 8, 3), np.uint8)), ("masks", defect((0, 0, 0)))):
        for split, name in (
            ("test", "good_7"),
            ("train", "train_good_7"),
            ("train", "v_train_good_7"),
        ):
            write(ready / split / kind / f"{name}.png", array)
    table = scanned(ImageMask(CLASSES), ready).set_index(["split", "source", "variant"])
    assert ("test", "good_7", "original") in table.index
    assert ("train", "train_good_7", "original") in table.index
    assert ("train", "train_good_7", "v") in table.index


def test_ready_defect_free_pictures_can_be_left_out(ready):
    table = scanned(ImageMask(CLASSES, good="none"), ready)
    assert table["source"].tolist() == ["bent_1", "bent_1", "cut_2"]
    assert table.index.tolist() == [0, 1, 2]


def test_ready_mask_of_a_row(ready):
    layout = ImageMask(CLASSES)
    table = scanned(layout, ready)
    np.testing.assert_array_equal(layout.read_mask(table.iloc[3]), defect(2))
    np.testing.assert_array_equal(layout.read_mask(next(table.itertuples())), defect(1))


def test_ready_one_hot_masks(ready):
    (ready / "test/masks/cut_2.png").unlink()
    np.savez(ready / "test/masks/cut_2.npz", mask=np.eye(3, dtype=np.uint8)[defect(2)])
    assert scanned(ImageMask(CLASSES), ready)["label"].iloc[3] == "cut"


def test_label_is_the_most_frequent_defect(ready):
    mask = defect((0, 255, 0))
    mask[0, 0:2] = (0, 0, 255)
    write(ready / "test/masks/cut_2.png", mask)
    assert scanned(ImageMask(CLASSES), ready)["label"].iloc[3] == "cut"


def test_ready_problems_are_told_at_once(ready):
    (ready / "train/masks/good_7.png").unlink()
    (ready / "test/images/cut_2.png").unlink()
    write(ready / "train/masks/bent_1.png", defect((0, 0, 255), (8, 6)))
    write(ready / "train/masks/hflipped_bent_1.png", defect((90, 90, 90)))
    problems = problems_of(ImageMask(CLASSES), ready)
    assert len(problems) == 4
    for file in ("good_7.png", "cut_2.png", "bent_1.png", "hflipped_bent_1.png"):
        assert any(file in problem for problem in problems)


def test_a_folder_without_any_split_is_a_problem(ready):
    for split in ("train", "test"):
        shutil.rmtree(ready / split)
    only(problems_of(ImageMask(CLASSES), ready), "train/images")


def test_odd_colours_are_counted_in_one_warning(ready, caplog):
    for name in ("train/masks/bent_1.png", "test/masks/cut_2.png"):
        mask = np.array(Image.open(ready / name))
        mask[1, 1] = mask[2, 1] * 0.2  # at the corner of the defect
        write(ready / name, mask)
    with caplog.at_level(logging.WARNING):
        scanned(ImageMask(CLASSES, off_palette_limit=0.03), ready)
    assert [record.getMessage() for record in caplog.records] == [
        "2 mask pixels (1.042 %) in 2 of 4 masks have no class colour"
    ]


def test_unknown_off_palette_rule_is_told_once():
    with pytest.raises(InputError, match="present or nearest"):
        ImageMask(CLASSES, off_palette="closest")


@pytest.mark.parametrize(
    "stem, expected",
    [
        ("teeth_3", ("teeth_3", "original")),
        ("broken_teeth_3", ("broken_teeth_3", "original")),
        ("hflipped_broken_teeth_3", ("broken_teeth_3", "hflipped")),
        ("vflipped_teeth_12", ("teeth_12", "vflipped")),
        ("rotated_90_teeth_0", ("teeth_0", "rotated_90")),
        ("shrinked_0.8_teeth_0", ("teeth_0", "shrinked_0.8")),
        (
            "deformed_alpha_1300_sigmoid_7_broken_teeth_6",
            ("broken_teeth_6", "deformed_alpha_1300_sigmoid_7"),
        ),
        (
            "distorted_0.02_rsigma0.5_sigma40_teeth_1",
            ("teeth_1", "distorted_0.02_rsigma0.5_sigma40"),
        ),
        ("teeth_x", ("teeth_x", "original")),
        ("IMG_0001", ("IMG_0001", "original")),
        ("a+b_5", ("a+b_5", "original")),
        ("hflipped_a+b_5", ("a+b_5", "hflipped")),
    ],
)
def test_names_of_augmented_copies(stem, expected):
    assert parse_name(stem, ["teeth", "broken_teeth", "a+b"], stem) == expected


def test_synthetic_pictures_are_drawn_once_and_scanned(tmp_path):
    names = synthetic.CLASSES["grid"]
    classes = [CLASSES[0], *({"name": name, "color": [i, i, i]} for i, name in enumerate(names, 1))]
    layout = Synthetic(
        classes, "all", name="grid", images_per_class=1, good_images=2, size=64, seed=3
    )
    table = scanned(layout, tmp_path / "grid")
    assert sorted(table["label"]) == sorted([*names, "good", "good"])
    assert set(table["width"]) == {64}
    drawn = os.stat(table["image"][0]).st_mtime_ns
    assert scanned(layout, tmp_path / "grid").equals(table)
    assert os.stat(table["image"][0]).st_mtime_ns == drawn


@pytest.mark.parametrize("name, pictures", [("grid", 50), ("screw", 102)])
def test_real_raw_folders(shared_data, name, pictures):
    folder = shared_data / "mvtec_anomaly_detection" / name
    names = sorted(path.name for path in (folder / "ground_truth").iterdir())
    classes = [{"name": n, "color": [i, i, i]} for i, n in enumerate(["background", *names])]
    table = scanned(MVTec(classes), folder)
    assert len(table) == pictures and set(table["label"]) == {*names, "good"}


def test_real_ready_folder(shared_data, caplog):
    colours = {
        "background": [0, 0, 0],
        "broken_teeth": [0, 0, 255],
        "combined": [0, 255, 0],
        "fabric_border": [255, 0, 0],
        "fabric_interior": [128, 128, 128],
        "rough": [255, 255, 255],
        "split_teeth": [0, 255, 255],
        "squeezed_teeth": [255, 255, 0],
    }
    classes = [{"name": name, "color": colour} for name, colour in colours.items()]
    table = scanned(ImageMask(classes), shared_data / "imagemask" / "MVTEC-ZIPPER")
    assert table["split"].value_counts().to_dict() == {"train": 22, "valid": 7, "test": 7}
    assert (table["label"] == table["source"].str.replace(r"_\d+$", "", regex=True)).all()
    assert (table["variant"] == "original").sum() == 2
    assert "16,073 mask pixels (0.170 %) in 34 of 36 masks" in caplog.text


def test_a_folder_that_cannot_be_looked_into_is_said_in_words(tmp_path):
    only(problems_of(MVTec(CLASSES), tmp_path / ("a" * 300)), "cannot be opened", "name too long")


def test_a_long_scan_says_how_far_it_is(raw, caplog, monkeypatch):
    monkeypatch.setattr("flexunet_exp.system.progress.SECONDS", 0)
    with caplog.at_level(logging.INFO):
        scanned(MVTec(CLASSES), raw)
    assert "5 of 5 pictures" in caplog.text and "3 of 3 pictures" in caplog.text


FINE = [
    {"name": "background", "color": [0, 0, 0]},
    {"name": "bent", "color": [0, 0, 255]},
    {"name": "cut", "color": [0, 255, 0], "class": "cut"},
    {"name": "torn", "color": [0, 255, 255], "class": "cut"},
    {"name": "dust", "color": [9, 9, 9], "class": "background"},
]


def write_fine(folder: Path, kind: str) -> Path:
    """A picture torn_1 whose mask has a pixel column of each class of FINE, and one of 255."""
    index = np.tile(np.array([0, 1, 2, 3, 4, 255, 0, 0], np.uint8), (6, 1))
    palette = np.zeros((256, 3), np.uint8)
    palette[:5] = [one["color"] for one in FINE]
    write_image(folder / "train/images/torn_1.png")
    place = folder / "train/masks/torn_1.png"
    if kind == "colour":
        return write(place, palette[index])
    write(place, index)
    if kind == "palette":
        image = Image.fromarray(index)
        image.putpalette(palette.tobytes())
        image.save(place)
    return place


@pytest.mark.parametrize(("kind", "sixth"), [("colour", 0), ("grey", 255), ("palette", 0)], ids=str)
def test_classes_of_the_masks_become_those_of_the_network(tmp_path, kind, sixth):
    write_fine(tmp_path, kind)

    layout = ImageMask(CLASSES, mask_classes=FINE)
    record = layout.scan(tmp_path)

    (row,) = accepted(record).table.itertuples()
    assert layout.read_mask(row)[0].tolist() == [0, 1, 2, 2, 0, sixth, 0, 0]
    assert (row.label, row.source) == ("cut", "torn_1")
    assert record.masks[row.image].pixels.tolist()[1:] == [6, 12]


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (["torn"], ["expected a list such as"]),
        ([{"name": "background", "color": [0, 0]}], ["expected a list such as"]),
        ([*FINE, {"name": "torn", "color": [0, 0, 255], "class": "rip"}],
         ["torn is there twice", "(0, 0, 255) is there twice", "rip is no class", "class: cut"]),
        (FINE[1:], ["expected background first, found bent"]),
    ],
    ids=["no entries", "no colour", "twice", "no background"],
)  # fmt: skip
def test_classes_of_the_masks_that_cannot_be_are_refused(held, said):
    with pytest.raises(InputError) as caught:
        ImageMask(CLASSES, mask_classes=held)
    for words in said:
        assert words in str(caught.value)


def test_a_class_that_becomes_the_background_may_be_all_there_is(tmp_path):
    write_fine(tmp_path, "colour")
    write_image(tmp_path / "train/images/dust_000.png")
    write(tmp_path / "train/masks/dust_000.png", defect((9, 9, 9)))

    table = scanned(ImageMask(CLASSES, "all", mask_classes=FINE), tmp_path)

    assert table["label"].tolist() == ["good", "cut"]


@pytest.mark.parametrize("value", [(200, 9, 90), 7], ids=["colour", "index"])
def test_a_value_of_no_class_belongs_to_the_classes_of_the_masks(tmp_path, value):
    write_image(tmp_path / "train/images/a.png")
    mask = defect(value)
    mask[0, :3] = 0 if np.shape(value) else 1
    write(tmp_path / "train/masks/a.png", mask)
    layout = ImageMask(CLASSES, mask_classes=FINE)
    only(problems_of(layout, tmp_path), "dataset.layout.mask_classes")


@pytest.mark.parametrize(
    ("source", "said"),
    [("Gehäuse".encode("cp1252"), "not a text of UTF-8"), (b"x" * 200_000, "field larger than")],
    ids=["another encoding", "an endless field"],
)
def test_a_file_of_sources_that_cannot_be_read_is_one_sentence(ready, source, said):
    (ready / "parts.csv").write_bytes(b"image,source\ntrain/images/bent_1.png," + source)
    only(problems_of(ImageMask(CLASSES, sources="parts.csv"), ready), "parts.csv", said)
