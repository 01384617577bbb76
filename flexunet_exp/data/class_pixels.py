"""Counts the pixels of each class, from which class weights and sampling follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from flexunet_exp.system.parallel import on_all_cores


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
        return count_pixels(read_mask(sample), num_classes)

    counts = np.zeros((len(table), num_classes), np.int64)
    counts[:, 0] = table["width"] * table["height"]  # of a picture without a mask
    known = known or {}
    unknown: dict[int, Any] = {}
    for place, sample in enumerate(table.itertuples(index=False)):
        if (counted := known.get(str(sample.image))) is not None:
            counts[place] = counted
        elif sample.mask:
            unknown[place] = sample
    if unknown:
        counts[list(unknown)] = list(on_all_cores(count, unknown.values()))
    return counts
