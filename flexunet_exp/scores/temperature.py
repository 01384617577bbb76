"""Temperatures that logits are divided by, so that probabilities become honest.

Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv:1706.04599.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax, softmax

LEAST, MOST = 0.1, 10.0  # a temperature; without errors in the sample, the best one would be 0


class Pixels(NamedTuple):
    """A sample of pixels; a pixel stands for `weights` pixels of the pictures."""

    logits: np.ndarray  # (N, C) float32
    truth: np.ndarray  # (N,) class indices
    weights: np.ndarray  # (N,) float64


def fit(pixels: Pixels, groups: Sequence[int]) -> np.ndarray:
    """The temperatures (C,), from LEAST to MOST, with the least mean NLL of the pixels.

    `groups` gives each class the number of its temperature, from 0 on; classes of one number share
    it. The NLL is convex in the inverse temperatures, so there is one answer.
    """
    from scipy.optimize import minimize

    of_class = np.asarray(groups)
    logits, truth = pixels.logits.astype(np.float64), pixels.truth.astype(np.intp)
    weights = pixels.weights / pixels.weights.sum()
    is_true = np.arange(logits.shape[1]) == truth[:, None]

    def loss(inverse: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = logits * inverse[of_class]
        value = -(weights * log_softmax(scaled, axis=1)[is_true]).sum()
        slope = (weights[:, None] * (softmax(scaled, axis=1) - is_true) * logits).sum(axis=0)
        return value, np.bincount(of_class, slope)

    start = np.ones(of_class.max() + 1)
    found = minimize(
        *(loss, start),
        jac=True,
        method="L-BFGS-B",
        bounds=[(1 / MOST, 1 / LEAST)] * len(start),
        options={"ftol": 1e-14, "gtol": 1e-10},
    )
    return 1 / found.x[of_class]


def mean_nll(pixels: Pixels, temperatures: np.ndarray) -> float:
    """The weighted mean NLL of the pixels with their logits divided by temperatures (C,)."""
    logs = log_softmax(pixels.logits / temperatures, axis=1)
    own = np.take_along_axis(logs, pixels.truth.astype(np.intp)[:, None], axis=1)[:, 0]
    return float(-np.average(own, weights=pixels.weights))


def groups(sources: Sequence[int], least: int) -> list[int]:
    """The number of the temperature of each class: its own, or the common one, 0.

    A defect class has its own where at least `least` sources show it. The background has the common
    one: with a temperature of its own it could turn the class of every pixel. `sources` counts the
    sources that show a class, background first.
    """
    found, own = [0], 0
    for number in sources[1:]:
        own += number >= least
        found.append(own if number >= least else 0)
    return found
