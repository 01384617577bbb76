"""Facts about a data set that decide how to train on it: pixels of each class, class weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd


def count_pixels(mask: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels of each class (C,) in an index mask; ignored ones (255) are counted nowhere."""
    return np.bincount(mask.ravel(), minlength=256)[:num_classes]


def class_pixels(
    table: pd.DataFrame,
    read_mask: Callable[[Any], np.ndarray],
    num_classes: int,
    known: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Pixels of each class in each picture of the sample table, (N, C) int64, at native size.

    `read_mask` is the layout's; `known` are pictures whose pixels (C,) have been counted already.
    """

    def count(sample: Any) -> np.ndarray:
        counted = (known or {}).get(sample.image)
        return count_pixels(read_mask(sample), num_classes) if counted is None else counted

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = list(pool.map(count, table.itertuples(index=False)))
    return np.array(counts, dtype=np.int64).reshape(-1, num_classes)


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
