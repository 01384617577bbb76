"""Scores agree with scikit-learn, with cases worked by hand, and with published predictions."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn import metrics

from flexunet_exp.data import masks
from flexunet_exp.errors import InputError
from flexunet_exp.scores import confusions
from tests.support.properties import examples

pytestmark = pytest.mark.filterwarnings("error")

NAMES = ["background", "scratch", "dent", "crack", "stain"]


def random_masks(seed: int, num_classes: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction (images, 7, 9); some classes absent, some pixels ignored."""
    generator = np.random.default_rng(seed)
    classes = np.flatnonzero(generator.random(num_classes) < 0.7)
    classes = classes if len(classes) else np.array([0])
    truth = generator.choice(classes, (images, 7, 9)).astype(np.uint8)
    wrong = generator.integers(0, num_classes, truth.shape).astype(np.uint8)
    prediction = np.where(generator.random(truth.shape) < 0.6, truth, wrong)
    truth[generator.random(truth.shape) < 0.1] = masks.IGNORE
    return truth, prediction


def count(truth: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    pairs = zip(truth, prediction, strict=True)
    return np.stack([confusions.confusion(t, p, num_classes) for t, p in pairs])


random_case = given(st.integers(0, 2**32), st.integers(2, 5), st.integers(1, 4))


@examples(60)
@random_case
def test_confusion_is_that_of_scikit_learn_without_ignored_pixels(seed, num_classes, images):
    truth, prediction = random_masks(seed, num_classes, images)
    counts = count(truth, prediction, num_classes)
    valid = truth != masks.IGNORE
    expected = metrics.confusion_matrix(truth[valid], prediction[valid], labels=range(num_classes))
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts.sum(axis=0), expected)


@examples(60)
@random_case
def test_class_figures_are_those_of_scikit_learn(seed, num_classes, images):
    truth, prediction = random_masks(seed, num_classes, images)
    table = confusions.per_class(count(truth, prediction, num_classes), NAMES[:num_classes])
    valid = truth != masks.IGNORE
    t, p = truth[valid], prediction[valid]
    options = {"labels": range(num_classes), "average": None}
    present = np.isin(np.arange(num_classes), t)
    expected = {
        "precision": metrics.precision_score(t, p, zero_division=np.nan, **options),
        "recall": metrics.recall_score(t, p, zero_division=np.nan, **options),
        "dice": np.where(present, metrics.f1_score(t, p, zero_division=0, **options), np.nan),
        "iou": np.where(present, metrics.jaccard_score(t, p, zero_division=0, **options), np.nan),
    }
    for figure, values in expected.items():
        np.testing.assert_allclose(table[figure], values, atol=1e-12, err_msg=figure)
    holding = [np.sum((truth == c).any(axis=(1, 2))) for c in range(num_classes)]
    assert table["images"].tolist() == holding
    assert table["truth_pixels"].tolist() == [np.sum(t == c) for c in range(num_classes)]
    assert table["predicted_pixels"].tolist() == [np.sum(p == c) for c in range(num_classes)]


@examples(60)
@random_case
def test_figures_over_classes_are_those_of_scikit_learn(seed, num_classes, images):
    truth, prediction = random_masks(seed, num_classes, images)
    figures = confusions.summary(count(truth, prediction, num_classes), NAMES[:num_classes])
    valid = truth != masks.IGNORE
    t, p = truth[valid], prediction[valid]
    defects = [c for c in range(1, num_classes) if c in t]
    expected = {"pixel_accuracy": np.mean(t == p), "baseline_pixel_accuracy": np.mean(t == 0)}
    if defects:
        options = {"labels": defects, "average": "macro"}
        expected |= {
            "dice": metrics.f1_score(t, p, zero_division=0, **options),
            "iou": metrics.jaccard_score(t, p, zero_division=0, **options),
            "recall": metrics.recall_score(t, p, zero_division=0, **options),
            "precision": metrics.precision_score(t, p, zero_division=np.nan, **options),
            "defect_dice": metrics.f1_score(t > 0, p > 0, zero_division=0),
            "defect_iou": metrics.jaccard_score(t > 0, p > 0, zero_division=0),
            "baseline_dice": 0.0,
        }
    else:
        undefined = ["dice", "iou", "recall", "precision", "defect_dice", "baseline_dice"]
        expected |= dict.fromkeys(undefined, math.nan)
    assert {name: figures[name] for name in expected} == pytest.approx(expected, nan_ok=True)


# Three images of three classes, [truth, prediction] pixels: a defect half found and partly taken
# for the other class; a good image with a false alarm; a good image left alone.
WORKED = np.array(
    [
        [[90, 0, 0], [3, 5, 2], [0, 0, 0]],
        [[96, 4, 0], [0, 0, 0], [0, 0, 0]],
        [[100, 0, 0], [0, 0, 0], [0, 0, 0]],
    ]
)


def test_summary_of_a_case_worked_by_hand():
    figures = confusions.summary(WORKED, ["background", "scratch", "dent"])
    assert figures == pytest.approx(
        {
            "dice": 10 / 19,
            "iou": 5 / 14,
            "precision": 5 / 9,
            "recall": 5 / 10,
            "dice/background": 572 / 579,
            "iou/background": 286 / 293,
            "precision/background": 286 / 289,
            "recall/background": 286 / 290,
            "dice/scratch": 10 / 19,
            "iou/scratch": 5 / 14,
            "precision/scratch": 5 / 9,
            "recall/scratch": 5 / 10,
            "dice/dent": math.nan,
            "iou/dent": math.nan,
            "precision/dent": 0.0,
            "recall/dent": math.nan,
            "miou_with_background": (286 / 293 + 5 / 14) / 2,
            "pixel_accuracy": 291 / 300,
            # The one defective image has most of its defect in the right class.
            "dominant_class_accuracy": 1.0,
            "defect_dice": 14 / 21,
            "defect_iou": 7 / 14,
            # Image 1: scratch 10/15, dent 0; image 2: scratch 0; image 3 is left out.
            "image_dice": (10 / 15 / 2 + 0) / 2,
            "image_iou": (5 / 10 / 2 + 0) / 2,
            "baseline_pixel_accuracy": 290 / 300,
            "baseline_miou_with_background": (290 / 300 + 0) / 2,
            "baseline_dice": 0.0,
            "num_images": 3.0,
            "num_defective": 1.0,
        },
        nan_ok=True,
    )


def test_without_images_every_figure_is_undefined():
    figures = confusions.summary(np.zeros((0, 3, 3), np.int64), ["background", "scratch", "dent"])
    assert figures.pop("num_images") == 0 and figures.pop("num_defective") == 0
    assert all(math.isnan(value) for value in figures.values())


def test_per_image_leaves_images_without_defect_undefined():
    assert confusions.per_image(WORKED)["dice"].tolist() == pytest.approx(
        [1 / 3, 0.0, math.nan], nan_ok=True
    )


@pytest.mark.parametrize(
    ("truth", "prediction"),
    [
        (np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8)),
        (np.zeros((2, 2), np.uint8), np.full((2, 2), 3, np.uint8)),
        (np.full((2, 2), 3, np.uint8), np.zeros((2, 2), np.uint8)),
        (np.full((2, 2), 254, np.uint8), np.zeros((2, 2), np.uint8)),
    ],
)
def test_confusion_refuses_what_it_would_have_to_drop(truth, prediction):
    with pytest.raises(ValueError):
        confusions.confusion(truth, prediction, 3)


def test_seed_metric_is_its_formula_over_one_hot_truth():
    generator = np.random.default_rng(5)
    probabilities = generator.dirichlet(np.ones(4), (6, 8)).astype(np.float32)
    truth = generator.integers(0, 4, (6, 8)).astype(np.uint8)
    truth[0, :5] = masks.IGNORE
    y = np.eye(4)[np.where(truth == masks.IGNORE, 0, truth)] * (truth != masks.IGNORE)[..., None]
    p = probabilities * (truth != masks.IGNORE)[..., None]
    expected = (2 * np.sum(y * p) + 1) / (y.sum() + p.sum() + 1)
    assert confusions.dice_coef_multiclass(probabilities, truth) == pytest.approx(
        expected, rel=1e-6
    )


def test_seed_metric_of_a_wholly_ignored_image_is_undefined():
    ignored = np.full((2, 2), masks.IGNORE, np.uint8)
    assert math.isnan(confusions.dice_coef_multiclass(np.full((2, 2, 3), 1 / 3), ignored))
    assert np.isnan(confusions.hard_dice_coef_multiclass(np.zeros((1, 3, 3), np.int64))).all()


def test_hard_seed_metric_is_that_of_certain_probabilities():
    truth, prediction = random_masks(3, 4, 3)
    expected = [
        confusions.dice_coef_multiclass(np.eye(4)[p], t)
        for t, p in zip(truth, prediction, strict=True)
    ]
    hard = confusions.hard_dice_coef_multiclass(count(truth, prediction, 4))
    assert hard.tolist() == pytest.approx(expected)


def test_stored_counts_come_back_and_need_no_pickle(tmp_path):
    path = tmp_path / "confusions.npz"
    names = ["bent/000", "Größe 7", "傷"]
    confusions.save_counts(
        path, names, WORKED, [0.9, math.nan, 1.0], ["background", "scratch", "dent"]
    )
    stored = confusions.load_counts(path)
    assert stored.names.tolist() == names
    assert stored.classes.tolist() == ["background", "scratch", "dent"]
    assert stored.counts.dtype == np.int64
    np.testing.assert_array_equal(stored.counts, WORKED)
    np.testing.assert_array_equal(stored.dice_coef_multiclass, [0.9, math.nan, 1.0])
    assert [entry.name for entry in tmp_path.iterdir()] == ["confusions.npz"]


def test_stored_counts_of_no_image_come_back(tmp_path):
    path = tmp_path / "confusions.npz"
    confusions.save_counts(path, [], np.zeros((0, 2, 2)), [], ["background", "scratch"])
    assert confusions.load_counts(path).counts.shape == (0, 2, 2)


def test_a_reader_of_a_file_being_replaced_sees_the_old_one_whole(tmp_path):
    target = tmp_path / "scores.json"
    target.write_bytes(b"old")
    with target.open("rb", buffering=0) as reader:
        confusions.replace_file(target, b"new, and longer")
        assert reader.read() == b"old"
    assert target.read_bytes() == b"new, and longer"


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    target = tmp_path / "scores.json"
    target.mkdir()
    (target / "kept").touch()
    with pytest.raises(OSError):
        confusions.replace_file(target, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["scores.json"]


def damage_nothing_there(path: Path) -> None:
    path.unlink()


def damage_cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def damage_text(path: Path) -> None:
    path.write_text("no archive")


def damage_one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, WORKED)


def damage_array_missing(path: Path) -> None:
    np.savez(path, names=np.array(["a"]), counts=WORKED)


def damage_other_number_of_names(path: Path) -> None:
    confusions.save_counts(path, ["a"], WORKED, [1.0], ["background", "scratch", "dent"])


def damage_pickle(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive, archive.open("names.npy", "w") as file:
        np.lib.format.write_array(file, np.array([{}, None], dtype=object))


@pytest.mark.parametrize(
    "damage",
    [
        damage_nothing_there,
        damage_cut_off,
        damage_text,
        damage_one_array,
        damage_array_missing,
        damage_other_number_of_names,
        damage_pickle,
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, damage):
    path = tmp_path / "confusions.npz"
    confusions.save_counts(path, ["a", "b", "c"], WORKED, [1.0] * 3, ["background", "x", "y"])
    damage(path)
    with pytest.raises(InputError, match="confusions.npz: .*flexunet evaluate"):
        confusions.load_counts(path)


ZIPPER = {
    "background": (0, 0, 0),
    "broken_teeth": (0, 0, 255),
    "combined": (0, 255, 0),
    "fabric_border": (255, 0, 0),
    "fabric_interior": (128, 128, 128),
    "rough": (255, 255, 255),
    "split_teeth": (0, 255, 255),
    "squeezed_teeth": (255, 255, 0),
}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            "nearest",
            {
                "miou_with_background": 0.7557,
                "iou": 0.7215,
                "dice": 0.8308,
                "defect_iou": 0.8289,
                "defect_dice": 0.9064,
                "pixel_accuracy": 0.9937,
                "dominant_class_accuracy": 33 / 36,
                "baseline_pixel_accuracy": 0.9731,
                "image_dice": 0.5455,
                "image_iou": 0.4881,
                "dice/fabric_interior": 0.6109,
                "precision/fabric_interior": 0.9273,
                "recall/fabric_interior": 0.4555,
            },
        ),
        ("present", {"iou": 0.7361, "dice": 0.8441, "image_dice": 0.6763}),
    ],
)
def test_published_predictions_get_the_scores_known_for_them(shared_data, rule, expected):
    folder = shared_data / "imagemask" / "MVTEC-ZIPPER"
    truths = sorted(folder.glob("*/masks/*.png"))
    assert len(truths) == 36
    palette = np.array(list(ZIPPER.values()), np.uint8)
    counts = [
        confusions.confusion(
            masks.read_colour_mask(path, palette, rule, limit=1.0)[0],
            np.array(Image.open(folder / "reference_predictions" / path.name)),
            len(ZIPPER),
        )
        for path in truths
    ]
    figures = confusions.summary(np.stack(counts), list(ZIPPER))
    assert {name: figures[name] for name in expected} == pytest.approx(expected, abs=5.1e-5)
