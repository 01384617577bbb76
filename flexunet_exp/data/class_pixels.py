"""Counts the pixels of each class, from which class weights and sampling follow."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd


def count_pixels(mask: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels of each class (C,) in an index mask; ignored ones (255) are not counted."""
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
