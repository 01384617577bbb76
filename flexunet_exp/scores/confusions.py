"""From pixel confusion counts to figures: every score is a pure function of (N, C, C) counts.

counts[n, t, p] = pixels of image n with truth t predicted as p; ignored pixels are not counted. An
undefined figure is NaN, never 0 or 1 by convention, and does not count in a mean.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from flexunet_exp.data.masks import IGNORE
from flexunet_exp.errors import InputError
from flexunet_exp.system.files import replace_file

FIGURES = ("dice", "iou", "precision", "recall")


class ImageCounts(NamedTuple):
    """The stored counts of an evaluation: one entry an image, in one order."""

    names: np.ndarray  # (N,) str
    counts: np.ndarray  # (N, C, C) int64
    dice_coef_multiclass: np.ndarray  # (N,) float64, 0..1
    classes: np.ndarray  # (C,) str, background first


def confusion(truth: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """Count pixels by truth (row) and prediction (column): (C, C) int64.

    `truth` and `prediction` are class indices of one shape; pixels with truth 255 (ignore) are left
    out. Raises ValueError where shapes differ or a class does not exist.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has shape {truth.shape}, the prediction {prediction.shape}")
    if prediction.size and int(prediction.max()) >= num_classes:
        raise ValueError(f"the prediction holds class {prediction.max()} of {num_classes}")
    # 256 rows: the ignored pixels are counted in row 255 and need no selection before.
    cell = truth.ravel().astype(np.intp) * num_classes + prediction.ravel()
    rows = np.bincount(cell, minlength=256 * num_classes).reshape(256, num_classes)
    if rows[num_classes:IGNORE].any():
        raise ValueError(f"the truth holds classes above {num_classes - 1} other than {IGNORE}")
    return rows[:num_classes].astype(np.int64)


def per_class(counts: np.ndarray, class_names: Sequence[str]) -> pd.DataFrame:
    """A row a class (background first): iou, dice, precision, recall (0..1), pixels and images.

    `images` = images that hold the class in truth. IoU, Dice and recall are NaN for a class without
    truth, precision for a class that is never predicted.
    """
    hits, truth, predicted = pixels_of(counts.sum(axis=0))
    figures = {
        "iou": ratio(hits, truth + predicted - hits),
        "dice": ratio(2 * hits, truth + predicted),
        "precision": ratio(hits, predicted),
        "recall": ratio(hits, truth),
    }
    for name in ("iou", "dice"):
        figures[name][truth == 0] = np.nan
    images = (counts.sum(axis=2) > 0).sum(axis=0)
    columns = figures | {"truth_pixels": truth, "predicted_pixels": predicted, "images": images}
    return pd.DataFrame(columns, index=pd.Index(class_names, name="class"))


def per_image(counts: np.ndarray) -> pd.DataFrame:
    """Macro Dice and IoU of every image: columns `dice`, `iou` (0..1), a row an image.

    The mean goes over the defect classes in the image's truth or prediction; NaN with neither.
    """
    hits, truth, predicted = pixels_of(counts)
    dice = ratio(2 * hits, truth + predicted)
    iou = ratio(hits, truth + predicted - hits)
    return pd.DataFrame({"dice": mean_over_last(dice[:, 1:]), "iou": mean_over_last(iou[:, 1:])})


def summary(counts: np.ndarray, class_names: Sequence[str]) -> dict[str, float]:
    """All figures of a split by name, 0..1 but for the two numbers of images.

    `dice iou precision recall` are means over the defect classes with truth in the split (a class
    that is never predicted has no precision and does not count there), `dice/<class>` … belong to
    one class, `defect_*` pool all defects against background, `image_*` are means over images of
    `per_image`, `baseline_*` are the scores of predicting only background on the same truth.
    """
    figures: dict[str, float] = {}
    classes = per_class(counts, class_names)
    for figure in FIGURES:
        figures[figure] = _defect_macro(classes, figure)
        figures |= {f"{figure}/{name}": float(value) for name, value in classes[figure].items()}
    figures |= _overall(counts) | _defect_against_background(counts)
    figures["dominant_class_accuracy"] = dominant_class_accuracy(counts)
    figures |= {
        f"image_{name}": mean_defined(values.to_numpy())
        for name, values in per_image(counts).items()
    }
    baseline = background_only(counts)
    figures |= {f"baseline_{name}": value for name, value in _overall(baseline).items()}
    figures["baseline_dice"] = _defect_macro(per_class(baseline, class_names), "dice")
    figures["num_images"] = float(len(counts))
    figures["num_defective"] = float((counts[:, 1:].sum(axis=(1, 2)) > 0).sum())
    return figures


def dominant_class_accuracy(counts: np.ndarray) -> float:
    """Share of the defective images whose most frequent defect class is predicted as such, 0..1.

    In a tie of two classes the first one counts. An image without any predicted defect is wrong.
    """
    _, truth, predicted = pixels_of(counts)
    truth, predicted = truth[:, 1:], predicted[:, 1:]
    defective = truth.any(axis=1)
    right = (truth.argmax(axis=1) == predicted.argmax(axis=1)) & predicted.any(axis=1)
    return mean_defined(right[defective])


def background_only(counts: np.ndarray) -> np.ndarray:
    """The counts (N, C, C) of a prediction that is background everywhere, on the same truth."""
    baseline = np.zeros_like(counts)
    baseline[:, :, 0] = counts.sum(axis=2)
    return baseline


def dice_coef_multiclass(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The original program's metric of one image: (2 I + 1) / (U + 1), 0..1.

    I = sum of y p, U = sum of y + sum of p over pixels and classes, background included, y the
    one-hot truth: close to the mean probability of the true class. `probabilities` (H, W, C),
    `truth` (H, W); ignored pixels leave both sides, an image of nothing else is NaN.
    """
    return soft_dice(soft_overlap(probabilities, truth))


def soft_overlap(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Sum of y p, of p, and of y over the known pixels of an image or a part of one: (3,)."""
    valid = truth != IGNORE
    classes, chances = truth[valid], probabilities[valid]
    hit = chances[np.arange(len(classes)), classes].sum(dtype=np.float64)
    return np.array([hit, chances.sum(dtype=np.float64), len(classes)])


def soft_dice(overlap: np.ndarray) -> float:
    """`dice_coef_multiclass` of an image from the sum of its parts' `soft_overlap`."""
    hit, chances, pixels = overlap
    return float((2 * hit + 1) / (pixels + chances + 1)) if pixels else float("nan")


def hard_dice_coef_multiclass(counts: np.ndarray) -> np.ndarray:
    """`dice_coef_multiclass` of each image (N,) as if every pixel gave its class probability 1."""
    pixels = counts.sum(axis=(1, 2))
    hits = np.trace(counts, axis1=1, axis2=2)
    return np.where(pixels > 0, (2 * hits + 1) / (2 * pixels + 1), np.nan)


def mean_defined(values: np.ndarray) -> float:
    """The mean of those values that are not NaN; NaN where there are none."""
    return float(mean_over_last(np.asarray(values, dtype=np.float64)))


def save_counts(
    path: Path,
    names: Sequence[str],
    counts: np.ndarray,
    seed_dice: Sequence[float] | np.ndarray,
    class_names: Sequence[str],
) -> None:
    """Store an evaluation as `.npz` without pickle; a reader never sees half a file."""
    stored = ImageCounts(
        names=np.array(names, dtype=np.str_),
        counts=np.asarray(counts, dtype=np.int64),
        dice_coef_multiclass=np.asarray(seed_dice, dtype=np.float64),
        classes=np.array(class_names, dtype=np.str_),
    )
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **stored._asdict())
    replace_file(path, buffer.getvalue())


def load_counts(path: Path) -> ImageCounts:
    """Read what `save_counts` wrote. Raises InputError where the file is missing or damaged."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            stored = ImageCounts(*(archive[field] for field in ImageCounts._fields))
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such file, expected the confusion counts of an evaluation: "
            "score the run with `flexunet evaluate run=RUN`."
        ) from error
    except (OSError, ValueError, KeyError, EOFError, TypeError, *_ZIP_ERRORS) as error:
        raise _damaged(path) from error
    images, classes = len(stored.names), len(stored.classes)
    if stored.counts.shape != (images, classes, classes) or (
        stored.dice_coef_multiclass.shape != (images,)
    ):
        raise _damaged(path)
    return stored


_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error)


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path}: damaged or no file of confusion counts, expected the arrays "
        f"{', '.join(ImageCounts._fields)}: score the run again with `flexunet evaluate run=RUN`."
    )


def pixels_of(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correct, true and predicted pixels a class, (..., C) each."""
    return np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1), counts.sum(axis=-2)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """numerator / denominator, NaN where the denominator is 0."""
    undefined = np.full(np.shape(denominator), np.nan)
    return np.divide(numerator, denominator, out=undefined, where=np.asarray(denominator) > 0)


def mean_over_last(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of those values that are not NaN."""
    return ratio(np.nansum(values, axis=-1), (~np.isnan(values)).sum(axis=-1))


def _defect_macro(classes: pd.DataFrame, figure: str) -> float:
    defects = classes.iloc[1:]
    return mean_defined(defects.loc[defects["truth_pixels"] > 0, figure].to_numpy())


def _overall(counts: np.ndarray) -> dict[str, float]:
    """Figures that count background as a class like any other."""
    pooled = counts.sum(axis=0)
    hits, truth, predicted = pixels_of(pooled)
    iou = ratio(hits, truth + predicted - hits)
    return {
        "miou_with_background": mean_defined(iou[truth > 0]),
        "pixel_accuracy": float(ratio(hits.sum(), pooled.sum())),
    }


def _defect_against_background(counts: np.ndarray) -> dict[str, float]:
    """Dice and IoU of any defect, whatever its class, pooled over images."""
    pooled = counts.sum(axis=0)
    hits, truth, predicted = pooled[1:, 1:].sum(), pooled[1:].sum(), pooled[:, 1:].sum()
    if truth == 0:
        return {"defect_dice": float("nan"), "defect_iou": float("nan")}
    return {
        "defect_dice": float(2 * hits / (truth + predicted)),
        "defect_iou": float(hits / (truth + predicted - hits)),
    }
