"""Folders as people really have them: read as what they mean and said, or refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet_exp.data import dataset as datasets
from flexunet_exp.data.layouts import ImageMask, MVTec
from flexunet_exp.data.scan_record import ScanRecord
from flexunet_exp.errors import InputError

CLASSES = [
    {"name": "background", "color": [0, 0, 0]},
    {"name": "bent", "color": [0, 0, 255]},
    {"name": "cut", "color": [0, 255, 0]},
]
BLUE, GREEN = (0, 0, 255), (0, 255, 0)
RANDOM = np.random.default_rng(0)


def write(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def picture(path: Path) -> Path:
    return write(path, RANDOM.integers(0, 256, (6, 8, 3), dtype=np.uint8))


def defect(value, top: int = 2) -> np.ndarray:
    mask = np.zeros((6, 8, *np.shape(value)), np.uint8)
    mask[top : top + 2, 1:5] = value
    return mask


def ready(root: Path, places: dict[str, str], names: tuple[str, ...] = ("bent_0", "bent_1")):
    """Pictures and masks of these names in `images folder: masks folder`, below `root`."""
    for images, masks in places.items():
        for name in names:
            picture(root / images / f"{name}.png")
            write(root / masks / f"{name}.png", defect(BLUE))
    return root


def raw(root: Path, good: str = "good", mask: str = "{}_mask") -> Path:
    """Two pictures of bent, of cut and without a defect."""
    for name in ("bent", "cut"):
        for stem in ("000", "001"):
            picture(root / "test" / name / f"{stem}.png")
            write(root / "ground_truth" / name / f"{mask.format(stem)}.png", defect(255))
    for stem in ("000", "001"):
        picture(root / "test" / good / f"{stem}.png")
    return root


def scan(layout, root: Path) -> ScanRecord:
    record = layout.scan(root)
    assert not record.problems, record.problems
    return record


def problem(layout, root: Path, *words: str) -> str:
    """The only problem of a folder, which holds all the words and is short."""
    problems = layout.scan(root).problems
    assert len(problems) == 1, problems
    for word in words:
        assert word in problems[0], problems[0]
    assert len(problems[0]) < 700
    return problems[0]


THREE = {"train": "train", "valid": "valid", "test": "test"}


@pytest.mark.parametrize(
    "names",
    [
        {"train": "train", "valid": "val", "test": "test"},
        {"train": "Training", "valid": "Validation", "test": "TESTING"},
        {"train": "TRAIN", "valid": "VAL", "test": "Test"},
        {"train": "training", "valid": "valid", "test": "test"},
    ],
)
def test_splits_are_read_by_their_usual_names(tmp_path, names):
    root = ready(tmp_path, {f"{name}/images": f"{name}/masks" for name in names.values()})
    record = scan(ImageMask(CLASSES), root)
    assert record.table.groupby("split").size().to_dict() == {"train": 2, "valid": 2, "test": 2}
    for split, name in names.items():
        of_split = record.table[record.table["split"] == split]
        assert all(f"/{name}/images/" in image for image in of_split["image"])
        said = f"{name}/images is read as {split}/images" in " ".join(record.notes)
        assert said is (name != split)
    assert len(record.notes) == 1 and not record.warnings


def test_usual_names_are_not_worth_a_word(tmp_path):
    root = ready(tmp_path, {f"{name}/images": f"{name}/masks" for name in THREE})
    record = scan(ImageMask(CLASSES), root)
    assert not record.notes and not record.warnings


@pytest.mark.parametrize("other", ["val", "validation", "Valid_", "VAL"])
def test_two_folders_of_one_split_are_refused(tmp_path, other):
    ready(tmp_path, {f"{name}/images": f"{name}/masks" for name in (*THREE, other)})
    if other == "Valid_":
        assert "Valid_" in scan(ImageMask(CLASSES), tmp_path).warnings[0]
    else:
        problem(ImageMask(CLASSES), tmp_path, f"{min(other, 'valid')} and", "valid", "both mean")


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images", "labels"),
        ("image", "mask"),
        ("img", "annotations"),
        ("Images", "GT"),
        ("imgs", "ground_truth"),
    ],
)
def test_pictures_and_masks_are_read_by_their_usual_names(tmp_path, images, masks):
    root = ready(tmp_path, {f"{name}/{images}": f"{name}/{masks}" for name in THREE})
    record = scan(ImageMask(CLASSES), root)
    assert len(record.table) == 6 and set(record.table["label"]) == {"bent"}
    assert f"test/{masks} is read as test/masks" in record.notes[0]


@pytest.mark.parametrize(
    ("images", "masks", "splits"),
    [
        ("images", "masks", ("train", "valid", "test")),
        ("images", "labels", ("train", "val", "test")),
        ("Image", "Mask", ("Train", "Validation", "Test")),
    ],
)
def test_the_split_may_be_below_the_kind(tmp_path, images, masks, splits):
    root = ready(tmp_path, {f"{images}/{name}": f"{masks}/{name}" for name in splits})
    record = scan(ImageMask(CLASSES), root)
    assert record.table["split"].value_counts().to_dict() == {"train": 2, "valid": 2, "test": 2}
    assert f"{images}/{splits[0]} is read as train/images" in record.notes[0]


def test_several_folders_that_may_be_the_masks_are_named(tmp_path):
    root = ready(tmp_path, {f"{name}/images": f"{name}/labels" for name in THREE})
    ready(root, {"train/images": "train/gt"})
    problem(ImageMask(CLASSES), root, "train/gt, train/labels", "train/masks")


def test_masks_are_read_beside_labels_of_another_program(tmp_path):
    root = ready(tmp_path, {f"{name}/images": f"{name}/masks" for name in THREE})
    (root / "train/labels").mkdir()
    (root / "train/labels/bent_0.txt").write_text("0 0.5 0.5 0.1 0.1")
    record = scan(ImageMask(CLASSES), root)
    assert not record.warnings and not record.notes
    ready(root, {"train/images": "train/labels"})
    assert "train/labels is not read" in scan(ImageMask(CLASSES), root).warnings[0]


def test_a_folder_of_masks_with_another_name_is_named(tmp_path):
    root = ready(tmp_path, {"train/images": "train/truth", "valid/images": "valid/masks"})
    problem(ImageMask(CLASSES), root, "2 images", "Is it truth? Rename it masks")


def test_pictures_without_a_split_are_named(tmp_path):
    root = ready(tmp_path, {"images": "labels"})
    problem(ImageMask(CLASSES), root, "images and labels without a split", "train/images")


@pytest.mark.parametrize("splits", [("test",), ("train", "valid"), ("train",), ("val",)])
def test_a_part_of_the_splits_is_read(tmp_path, splits):
    root = ready(tmp_path, {f"{name}/images": f"{name}/masks" for name in splits})
    table = scan(ImageMask(CLASSES), root).table
    assert set(table["split"]) == {"valid" if name == "val" else name for name in splits}


def test_a_training_on_test_pictures_alone_says_what_they_are_good_for(tmp_path, compose):
    root = ready(tmp_path, {"test/images": "test/masks"})
    words = ("dataset=grid", "dataset/layout=image_mask", f"dataset.path={root}")
    with pytest.raises(InputError, match="only=test"):
        datasets.load(compose("train", *words))


@pytest.mark.parametrize("good", ["ok", "OK", "Good", "normal", "Normal", "free"])
def test_pictures_without_a_defect_are_read_by_their_usual_names(tmp_path, good):
    record = scan(MVTec(CLASSES), raw(tmp_path, good))
    of_good = record.table[record.table["label"] == "good"]
    assert of_good["source"].tolist() == ["good/000", "good/001"]
    assert any(f"{good} is read as good" in note for note in record.notes)


def test_good_of_train_is_read_by_its_usual_names(tmp_path):
    picture(raw(tmp_path, "ok") / "train/ok/000.png")
    table = scan(MVTec(CLASSES, good="all"), tmp_path).table
    assert table["source"].tolist()[-1] == "train_good/000"


@pytest.mark.parametrize("good", ["clean", "Clean", "in-order"])
def test_names_of_good_are_extended(tmp_path, good):
    problem(MVTec(CLASSES), raw(tmp_path, good), good, f"dataset.good_names=[{good}]")
    table = scan(MVTec(CLASSES, good_names=[good.lower()]), tmp_path).table
    assert (table["label"] == "good").sum() == 2


@pytest.mark.parametrize("bad", ["NG", "ng", "ko", "Bad", "defect"])
def test_names_of_defects_are_never_good(tmp_path, bad):
    root = raw(tmp_path, bad)
    problem(MVTec(CLASSES), root, bad, "Which class is it?", "bent, cut", "dataset.classes")
    with pytest.raises(InputError, match="dataset.classes"):
        MVTec(CLASSES, good_names=[bad])


@pytest.mark.parametrize("name", ["normal", "defect", "OK"])
def test_a_configured_class_is_a_class_whatever_its_name(tmp_path, name):
    root = raw(tmp_path, name)
    for stem in ("000", "001"):
        write(root / f"ground_truth/{name}/{stem}_mask.png", defect(255))
    table = scan(MVTec([*CLASSES, {"name": name, "color": [255, 0, 0]}]), root).table
    assert (table["label"] == name).sum() == 2 and not (table["label"] == "good").any()


def test_two_folders_of_good_pictures_are_both_read(tmp_path):
    picture(raw(tmp_path) / "test/OK/000.png")
    table = scan(MVTec(CLASSES), tmp_path).table
    sources = table.loc[table["label"] == "good", "source"].tolist()
    assert sorted(sources) == ["good/000", "good/001", "good/OK_000"]


@pytest.mark.parametrize("splits", [("train",), ("train", "test"), ("valid", "test")])
def test_pictures_without_a_mask_are_good_where_one_says_so(tmp_path, splits):
    root = ready(tmp_path, {f"{name}/images": f"{name}/masks" for name in THREE})
    for split in splits:
        for name in ("part_0", "part_1", "part_2", "part_3"):
            picture(root / split / "images" / f"{name}.png")
    problems = ImageMask(CLASSES).scan(root).problems
    assert len(problems) == len(splits)  # a sentence a folder
    for told in problems:
        assert "4 images (part_0.png, part_1.png, part_2.png and 1 more) of 6" in told
        assert "dataset.layout.missing_mask=good" in told
    layout = ImageMask(CLASSES, missing_mask="good")
    record = scan(layout, root)
    assert (record.table["label"] == "good").sum() == 4 * len(splits)
    assert len(record.notes) == len(splits) and "4 images" in record.notes[0]
    row = record.table[record.table["label"] == "good"].iloc[0]
    np.testing.assert_array_equal(layout.read_mask(row), np.zeros((6, 8), np.uint8))
    assert record.readable.all()


def test_a_missing_folder_of_masks_makes_no_picture_good(tmp_path):
    root = ready(tmp_path, {"train/images": "train/masks", "valid/images": "elsewhere"})
    problem(ImageMask(CLASSES, missing_mask="good"), root, "valid/images", "expected in")


def test_a_missing_mask_is_an_error_or_good():
    with pytest.raises(InputError, match="missing_mask=skip: expected error or good"):
        ImageMask(CLASSES, missing_mask="skip")


def in_folders(root: Path, parts: dict[str, list[np.ndarray]], masks: str, images: str) -> Path:
    for stem, shapes in parts.items():
        picture(root / images / f"{stem}.png")
        for number, shape in enumerate(shapes):
            write(root / masks / stem / f"{number:03}.png", shape)
    return root


def test_masks_in_folders_are_named_once(tmp_path):
    root = raw(tmp_path)
    parts = {f"{i:03}": [defect(255), defect(255, top=0)] for i in range(6)}
    for name in ("bent", "cut"):
        for path in (root / "ground_truth" / name).iterdir():
            path.unlink()
        in_folders(root, parts, f"ground_truth/{name}", f"test/{name}")
    problem(MVTec(CLASSES), root, "12 pictures", "dataset.layout.masks_in_folders=true")


@pytest.mark.parametrize("value", [255, 1, 240])
def test_masks_in_folders_are_merged(tmp_path, value):
    """MVTec LOCO AD writes another value than 255, by the kind of the defect."""
    root = raw(tmp_path)
    in_folders(root, {"002": [defect(value), defect(255, top=0)]}, "ground_truth/bent", "test/bent")
    layout = MVTec(CLASSES, masks_in_folders=True)
    table = scan(layout, root).table
    row = table[table["source"] == "bent/002"].iloc[0]
    np.testing.assert_array_equal(layout.read_mask(row), defect(1) | defect(1, top=0))
    assert (table["label"] == "bent").sum() == 3  # the others have one mask each
    assert datasets.file_hash(row["mask"]) != datasets.file_hash(table.iloc[0]["mask"])


def test_masks_in_folders_of_ready_data_are_merged(tmp_path):
    root = ready(tmp_path, {f"{name}/images": f"{name}/masks" for name in THREE})
    parts = {"two_0": [defect(BLUE), defect(GREEN, top=0)]}
    in_folders(root, parts, "train/masks", "train/images")
    problem(ImageMask(CLASSES), root, "1 pictures", "masks_in_folders=true")
    layout = ImageMask(CLASSES, masks_in_folders=True)
    table = scan(layout, root).table
    row = table[table["image"].str.contains("two_0")].iloc[0]
    np.testing.assert_array_equal(layout.read_mask(row), defect(1) | defect(2, top=0))


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (defect(GREEN, top=3), "another class"),
        (np.zeros((8, 6, 3), np.uint8), "must have one size"),
    ],
)
def test_masks_in_folders_that_contradict_are_refused(tmp_path, second, told):
    root = ready(tmp_path, {f"{name}/images": f"{name}/masks" for name in THREE})
    in_folders(root, {"two_0": [defect(BLUE), second]}, "train/masks", "train/images")
    problem(ImageMask(CLASSES, masks_in_folders=True), root, told, "two_0")


def test_a_value_between_is_refused_in_a_merged_mask(tmp_path):
    root = raw(tmp_path)
    shape = defect(255)
    shape[0, 0] = 100
    in_folders(root, {"002": [shape]}, "ground_truth/bent", "test/bent")
    problem(MVTec(CLASSES, masks_in_folders=True), root, "002", "100, 255")


@pytest.mark.parametrize("suffix", ["_label", "_gt", "_Mask", "-mask", ".gt", "_seg_1"])
def test_another_suffix_of_masks_is_named_once_and_works(tmp_path, suffix):
    root = raw(tmp_path, mask="{}" + suffix)
    problem(MVTec(CLASSES), root, suffix, "_mask", f"dataset.layout.mask_suffix={suffix}")
    assert len(scan(MVTec(CLASSES, mask_suffix=suffix), root).table) == 6


def test_raw_masks_called_like_their_pictures_are_read(tmp_path):
    assert len(scan(MVTec(CLASSES), raw(tmp_path, mask="{}")).table) == 6


@pytest.mark.parametrize("suffix", ["_label", "_mask", "_GT"])
def test_a_suffix_of_ready_masks_is_named_once_and_works(tmp_path, suffix):
    root = ready(tmp_path, {f"{name}/images": f"{name}/masks" for name in THREE})
    for path in root.glob("*/masks/*.png"):
        path.rename(path.with_stem(path.stem + suffix))
    problem(ImageMask(CLASSES), root, suffix, f"dataset.layout.mask_suffix={suffix}")
    assert len(scan(ImageMask(CLASSES, mask_suffix=suffix), root).table) == 6


@pytest.mark.parametrize(
    ("layout", "images", "suffix"),
    [
        (MVTec, "test/bent", "_mask"),
        (MVTec, "test/bent", "_label"),
        (ImageMask, "train/images", "_mask"),
        (ImageMask, "train", "_gt"),
    ],
)
def test_masks_beside_the_pictures(tmp_path, layout, images, suffix):
    for number in range(3):
        picture(tmp_path / images / f"{number}.png")
        write(
            tmp_path / images / f"{number}{suffix}.png",
            defect(255 if layout is MVTec else BLUE),
        )
    if (layout, suffix) != (MVTec, "_mask"):
        problem(layout(CLASSES), tmp_path, "beside", f"dataset.layout.mask_suffix={suffix}")
    record = scan(layout(CLASSES, mask_suffix=suffix), tmp_path)
    assert len(record.table) == 3 and set(record.table["label"]) == {"bent"}
    assert any("read as masks" in note for note in record.notes)


def test_numbers_are_no_suffix_of_masks(tmp_path):
    """Picture 1 is not picture 10 without its mask's ending."""
    for stem in ("1", "10", "11", "2"):
        picture(tmp_path / "train/images" / f"{stem}.png")
    problem(ImageMask(CLASSES), tmp_path, "4 images", "without a mask")


@pytest.mark.parametrize(
    ("folder", "layout"),
    [
        ("test/bent/camera", MVTec),
        ("test/good/left/upper", MVTec),
        ("train/images/bent", ImageMask),
    ],
)
def test_pictures_in_sub_folders_are_counted(tmp_path, folder, layout):
    if layout is MVTec:
        raw(tmp_path)
    else:
        ready(tmp_path, {f"{name}/images": f"{name}/masks" for name in THREE})
    for number in range(12):
        picture(tmp_path / f"{folder}{number % 2}" / f"{number}.png")
    inner = Path(folder).parts[2]
    problem(layout(CLASSES), tmp_path, "12 pictures", "sub-folder", inner)


def test_empty_and_system_folders_are_no_problem(tmp_path):
    root = raw(tmp_path)
    (root / "test/bent/empty").mkdir()
    picture(root / "test/bent/@eaDir/thumb.jpg")
    picture(root / "test/bent/.ipynb_checkpoints/000.png")
    (root / "__MACOSX").mkdir()
    scan(MVTec(CLASSES), root)


def test_files_that_are_no_pictures_are_counted(tmp_path):
    root = raw(tmp_path)
    for number in range(200):
        (root / f"test/bent/{number:05}.json").write_text("{}")
        (root / f"test/cut/{number:05}.JSON").write_text("{}")
    (root / "ground_truth/cut/notes.txt").write_text("x")
    (warning,) = scan(MVTec(CLASSES), root).warnings
    assert "401 files" in warning and "400 .json, 1 .txt" in warning and "00000.json" in warning
    assert len(warning) < 600


def test_pictures_without_masks_are_counted_in_one_sentence_a_folder(tmp_path):
    root = raw(tmp_path)
    for name in ("bent", "cut"):
        for number in range(100, 200):
            picture(root / "test" / name / f"{number}.png")
    problems = MVTec(CLASSES).scan(root).problems
    assert len(problems) == 2
    assert "100 images (100.png, 101.png, 102.png and 97 more) of 102" in problems[0]


def test_parts_of_raw_data_are_read_by_their_usual_names(tmp_path):
    root = raw(tmp_path)
    (root / "test").rename(root / "Test")
    (root / "ground_truth").rename(root / "GT")
    assert len(scan(MVTec(CLASSES), root).table) == 6
