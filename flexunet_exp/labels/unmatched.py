"""Doubts of an earlier review that no region of the labels or of the prediction fits any more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flexunet_exp.data.masks import IGNORE
from flexunet_exp.labels.compared import Box, components
from flexunet_exp.labels.doubts import EXTRA, MOVED, OUTLINE, Doubt, holds, seen_in


def unmatched(truth: np.ndarray, mask: np.ndarray, doubts: Sequence[Doubt]) -> list[Doubt]:
    """The doubts of a picture whose proposal cannot be drawn from truth and mask (H, W)."""
    seen = np.where(truth == IGNORE, 0, mask).astype(np.uint8)
    return [one for one in doubts if not fits(truth, seen, one)]


def fits(truth: np.ndarray, mask: np.ndarray, one: Doubt) -> bool:
    if one.kind == EXTRA:
        return has_region(mask, one.proposed, one.box)
    if one.kind == MOVED:
        return has_unmet(mask, truth, one) and has_unmet(truth, mask, one)
    is_there = has_region(truth, one.label, one.box)
    return is_there and (one.kind != OUTLINE or is_met(truth, mask, one))


def has_region(mask: np.ndarray, label: int, box: Box) -> bool:
    return any((label, box) == (found, place) for found, place, _ in components(mask))


def has_unmet(mask: np.ndarray, other: np.ndarray, one: Doubt) -> bool:
    """Whether a region of the doubt's class lies in its box and meets no defect of `other`."""
    return any(
        label == one.label and holds(one.box, box) and not seen_in(other, box, pixels)
        for label, box, pixels in components(mask)
    )


def is_met(truth: np.ndarray, mask: np.ndarray, one: Doubt) -> bool:
    """Whether the prediction has the class of an outline's label somewhere within it."""
    within = (truth[one.box.place] == one.label) & (mask[one.box.place] == one.label)
    return bool(within.any())
