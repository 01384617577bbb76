"""How honest probabilities are: counts by confidence, and the expected calibration error.

A picture becomes counts of its pixels over bins of their confidence, the probability of the most
probable class. Counts of pictures add up, and each figure is a function of them. Ignored pixels are
not counted. Most pixels are background, of which every network is sure and right; so the pixels
whose truth or prediction is a defect are counted once more by themselves.
"""

from __future__ import annotations

import numpy as np

from flexunet_exp.data.masks import IGNORE
from flexunet_exp.scores import by_class

BINS = 15  # of equal width, as in Guo et al. 2017
ALL, DEFECT = "all", "defect"
GROUPS = (ALL, DEFECT)  # of pixels, along the first axis of counts
_PIXELS, _CONFIDENCE, _CORRECT, _NLL = range(4)  # along the second axis
_LEAST = np.finfo(np.float32).tiny  # a probability of 0 would have an infinite NLL


def counts(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Counts (2, 4, BINS) float64 of probabilities (H, W, C) and true classes (H, W).

    Of each group and bin: pixels, the sum of their confidences, those that are right, and the sum
    of their negative log-likelihoods.
    """
    mask = np.empty(truth.shape, np.uint8)
    confidence = np.empty(truth.shape, np.float32)
    by_class.most_probable(probabilities, mask, confidence)
    is_right, known = mask == truth, truth != IGNORE
    own = confidence.copy()  # where the most probable class is the true one
    missed = np.nonzero(known & ~is_right)
    own[missed] = probabilities[(*missed, truth[missed])]
    place = np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)
    values = (None, confidence, is_right, -np.log(np.maximum(own, _LEAST)))
    groups = known, known & ((truth > 0) | (mask > 0))
    return np.array([[_binned(place, value, group) for value in values] for group in groups])


def _binned(place: np.ndarray, value: np.ndarray | None, group: np.ndarray) -> np.ndarray:
    weights = None if value is None else value[group]
    return np.bincount(place[group], weights, minlength=BINS).astype(np.float64)


def ece(counted: np.ndarray, group: str = ALL) -> float:
    """The expected calibration error, 0 to 1; NaN for no pixels.

    It is the mean distance of confidence and share of right pixels over the bins, weighted by their
    pixels (Naeini et al. 2015, as Guo et al. 2017, arXiv:1706.04599, use it with 15 bins).
    """
    of = counted[GROUPS.index(group)]
    total = of[_PIXELS].sum()
    return float(np.abs(of[_CORRECT] - of[_CONFIDENCE]).sum() / total) if total else np.nan


def nll(counted: np.ndarray, group: str = ALL) -> float:
    """The mean negative log-likelihood of a pixel, in nats; NaN for no pixels."""
    of = counted[GROUPS.index(group)]
    total = of[_PIXELS].sum()
    return float(of[_NLL].sum() / total) if total else np.nan


def pixels(counted: np.ndarray, group: str = ALL) -> int:
    return int(counted[GROUPS.index(group)][_PIXELS].sum())


def curve(counted: np.ndarray, group: str = ALL) -> np.ndarray:
    """Mean confidence, share of right pixels and share of all pixels, (3, bins that hold any)."""
    of = counted[GROUPS.index(group)]
    held = of[_PIXELS] > 0
    number = of[_PIXELS, held]
    return np.stack(
        [of[_CONFIDENCE, held] / number, of[_CORRECT, held] / number, number / of[0].sum()]
    )
