"""Class weights from the pixels of each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def balanced_weights(pixels: Sequence[int] | np.ndarray) -> list[float]:
    """Class weights inverse to frequency, total / (C * n_c), from the pixels (C,) of each class.

    A class without pixels weighs 0. Source: the `balanced` heuristic of scikit-learn, after King
    and Zeng, "Logistic Regression in Rare Events Data" (2001).
    """
    counts = np.asarray(pixels, dtype=np.float64)
    weights = np.zeros_like(counts)
    np.divide(counts.sum(), len(counts) * counts, out=weights, where=counts > 0)
    return weights.tolist()


def effective_number_weights(
    pixels: Sequence[int] | np.ndarray, beta: float = 0.999999
) -> list[float]:
    """Class weights (1 - beta) / (1 - beta^n_c), scaled to the mean 1, from the pixels (C,).

    `beta` from 0 (all classes equal) to below 1 (towards inverse frequency): classes of many more
    than 1 / (1 - beta) pixels weigh the same. The paper counts pictures and takes 0.9999 at most;
    pixels are a thousand times as many. A class without pixels weighs 0. Source: Cui et al.,
    "Class-Balanced Loss Based on Effective Number of Samples" (2019).
    """
    counts = np.asarray(pixels, dtype=np.float64)
    weights = np.zeros_like(counts)
    np.divide(1 - beta, 1 - beta**counts, out=weights, where=counts > 0)
    present = np.count_nonzero(counts)
    return (weights * present / weights.sum()).tolist() if present else weights.tolist()
