"""Doubts of an earlier review that no region of the labels or of the prediction fits any more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flexunet_exp.data.masks import IGNORE
from flexunet_exp.labels.compared import Box, components
from flexunet_exp.labels.doubts import EXTRA, MOVED, OUTLINE, Doubt, holds, meeting, seen_in


def unmatched(truth: np.ndarray, mask: np.ndarray, doubts: Sequence[Doubt]) -> list[Doubt]:
    """The doubts of a picture whose proposal cannot be drawn from truth and mask (H, W)."""
    seen = np.where(truth == IGNORE, 0, mask).astype(np.uint8)
    return [one for one in doubts if not fits(truth, seen, one)]


def fits(truth: np.ndarray, mask: np.ndarray, one: Doubt) -> bool:
    if one.kind == EXTRA:
        return has_region(mask, one.proposed, one.box)
    if one.kind == MOVED:
        return has_unmet(mask, truth, one) and has_unmet(truth, mask, one)
    if one.kind == OUTLINE:
        return is_met(truth, mask, one)
    return has_region(truth, one.label, one.box)


def has_region(mask: np.ndarray, label: int, box: Box) -> bool:
    return any((label, box) == (found, place) for found, place, _ in components(mask))


def has_unmet(mask: np.ndarray, other: np.ndarray, one: Doubt) -> bool:
    """Whether a region of the doubt's class lies in its box and meets no defect of `other`."""
    return any(
        label == one.label and holds(one.box, box) and not seen_in(other, box, pixels)
        for label, box, pixels in components(mask)
    )


def is_met(truth: np.ndarray, mask: np.ndarray, one: Doubt) -> bool:
    """Whether the label of an outline is there, and a predicted region of its class meets it."""
    return any(
        (label, box) == (one.label, one.box) and bool(meeting(mask, one, pixels))
        for label, box, pixels in components(truth)
    )
