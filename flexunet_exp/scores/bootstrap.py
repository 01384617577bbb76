"""Intervals of figures: the bootstrap over sources, stratified by class (Efron & Tibshirani 1993).

Images of one source (a part, a picture cut to tiles) are not independent, so sources are drawn and
not images. A resample is a row of weights: how often each image counts. Every figure here is that
of `confusions.summary`, for all resamples at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from flexunet_exp.scores.confusions import mean_over_last, pixels_of, ratio

MIN_SOURCES = 10  # with fewer, an interval is not reliable
MIN_STRATUM = 4  # of a class: two sources, drawn with replacement, show half of their variance


def resampled(
    sources: ArrayLike,
    labels: ArrayLike,
    resamples: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """How often each of N images counts in each resample: (R, N) int64.

    `sources` and `labels` (N,) are the source and the class of each image; a source's label is that
    of its first image. Each label's sources are drawn with replacement, as many as there are, and
    all images of a source are drawn together. The draws do not depend on the order of the images.
    """
    names, first, source = np.unique(np.asarray(sources), return_index=True, return_inverse=True)
    label = np.asarray(labels)[first]
    draw = np.random.default_rng(seed)
    weights = np.zeros((resamples, len(names)), np.int64)
    for stratum in np.unique(label):
        members = np.flatnonzero(label == stratum)
        number = len(members)
        weights[:, members] = draw.multinomial(number, np.full(number, 1 / number), resamples)
    return weights[:, source]


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of a figure's resamples (R,), without undefined ones."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def class_dice(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Dice (R, C) of confusion counts (N, C, C) in resamples (R, N); NaN without truth."""
    hits, truth, predicted = pixels_of(_pooled(counts, weights))
    return np.where(truth > 0, ratio(2 * hits, truth + predicted), np.nan)


def class_iou(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """IoU (R, C), as `class_dice`."""
    hits, truth, predicted = pixels_of(_pooled(counts, weights))
    return np.where(truth > 0, ratio(hits, truth + predicted - hits), np.nan)


def macro_dice(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean Dice (R,) over the defect classes that have truth in a resample."""
    return mean_over_last(class_dice(counts, weights)[:, 1:])


def macro_iou(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean IoU (R,), as `macro_dice`."""
    return mean_over_last(class_iou(counts, weights)[:, 1:])


def defect_dice(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Dice (R,) of any defect against background; NaN for a resample without defects."""
    pooled = _pooled(counts, weights)
    hits = pooled[:, 1:, 1:].sum(axis=(1, 2))
    truth, predicted = pooled[:, 1:].sum(axis=(1, 2)), pooled[:, :, 1:].sum(axis=(1, 2))
    return np.where(truth > 0, ratio(2 * hits, truth + predicted), np.nan)


def _pooled(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The counts (R, C, C) of all images of each resample."""
    # Exact up to 2**53 pixels, and much faster than with integers.
    return np.tensordot(weights.astype(np.float64), counts.astype(np.float64), axes=1)
