"""The agreement of outlines: boundary F1 at a tolerance, from counts of boundary pixels.

Csurka et al., BMVC 2013; Perazzi et al., CVPR 2016. The boundary of a class is its pixels with one
of the 4 neighbours outside the class; the border of the picture is not a boundary. Counts are
pooled over images by adding them.
"""

from __future__ import annotations

import cv2
import numpy as np

from flexunet_exp.data.masks import IGNORE
from flexunet_exp.scores.confusions import ratio

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def boundary_counts(
    truth: np.ndarray, prediction: np.ndarray, num_classes: int, tolerance: float
) -> np.ndarray:
    """Boundary pixels by class: (C, 4) int64, the row of the background all zeros.

    The columns are the predicted pixels; those within `tolerance` pixels (Euclidean) of a true
    one; the true pixels; and those within `tolerance` of a predicted one. Ignored pixels are
    background in truth and prediction. Raises ValueError where the shapes differ.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has shape {truth.shape}, the prediction {prediction.shape}")
    ignored = truth == IGNORE
    truth, prediction = (np.where(ignored, 0, classes) for classes in (truth, prediction))
    disk = _disk(tolerance)
    counts = np.zeros((num_classes, 4), np.int64)
    for index in range(1, num_classes):
        counts[index] = _of_class(truth == index, prediction == index, disk)
    return counts


def boundary_f1(counts: np.ndarray) -> np.ndarray:
    """F1 (..., C), 0..1, of counts (..., C, 4): 2 P R / (P + R), 0 where nothing matches.

    NaN for a class without true boundary.
    """
    predicted, matched, true, found = np.moveaxis(counts, -1, 0)
    precision = np.nan_to_num(ratio(matched, predicted))
    recall = ratio(found, true)
    both = precision + recall
    return np.where(both == 0, 0.0, ratio(2 * precision * recall, both))


def _of_class(truth: np.ndarray, prediction: np.ndarray, disk: np.ndarray) -> list[int]:
    window = _window(truth | prediction)
    true, predicted = _boundary(truth[window]), _boundary(prediction[window])
    near_true, near_predicted = cv2.dilate(true, disk), cv2.dilate(predicted, disk)
    return [
        int(np.count_nonzero(pixels))
        for pixels in (predicted, predicted & near_true, true, true & near_predicted)
    ]


def _window(mask: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns that hold the mask, and one more on each side within the picture.

    With that one more, the boundary within the window is that within the picture.
    """
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    rows = slice(max(0, top - 1), top + height + 1)
    return rows, slice(max(0, left - 1), left + width + 1)


def _boundary(mask: np.ndarray) -> np.ndarray:
    """The mask's pixels with a 4-neighbour outside it: (H, W) uint8, 0 or 1."""
    pixels = mask.astype(np.uint8)
    # OpenCV's erosion takes pixels outside the picture as part of the mask.
    return pixels - cv2.erode(pixels, _CROSS)


def _disk(radius: float) -> np.ndarray:
    """Which offsets are within `radius`: uint8, its centre in the middle."""
    offsets = np.arange(-int(radius), int(radius) + 1)
    return (offsets[:, None] ** 2 + offsets**2 <= radius**2).astype(np.uint8)
