"""Finds similar pictures: copies, also flipped, turned by 90 degrees, compressed or brightened.

A fingerprint is the fine structure of a small grey version. Two are compared in all eight views.
Deformed, sheared or cropped copies are found by their names (`layouts.parse_name`), not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from flexunet_exp.data.channels import grey

SIDE = 96
SMOOTHING = 2.0  # pixels; coarser structure is removed: pictures of one background share it
EDGE = 4  # pixels cut off at the border, where the smoothed picture shows the fall of light
# Measured at full size: a copy (JPEG of quality 50, brightened, gamma 1.5, noise of 10 grey levels)
# is at most 0.009 from its original; two pictures of grid are at least 0.183 apart, of screw 0.066.
# With 48 pixels a side, two drawn parts in one position, each with its own grain, were 0.011 apart.
LIMIT = 0.02
BLOCK = 256  # pictures compared at once
VIEWS = (
    *("", "turned by 90°", "turned by 180°", "turned by 270°"),
    *("mirrored", "mirrored and turned by 90°", "upside down", "mirrored and turned by 270°"),
)


class Alike(NamedTuple):
    """Rows of two tables of fingerprints whose pictures are alike."""

    first: int
    second: int
    view: str  # the view of the first that is like the second; "" is as it is
    distance: float  # 0 equal, up to 1


def fingerprint(image: np.ndarray) -> np.ndarray:
    """The picture (H, W, N) uint8 as a square array of norm 1; all 0 if it has no structure.

    A side has SIDE - 2 EDGE numbers. The distance of two fingerprints is one minus their product,
    which depends neither on contrast nor on brightness.
    """
    small = cv2.resize(grey(image).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    fine = small - cv2.GaussianBlur(small, (0, 0), SMOOTHING, borderType=cv2.BORDER_REFLECT)
    fine = fine[EDGE:-EDGE, EDGE:-EDGE]
    fine = fine - fine.mean()
    norm = np.linalg.norm(fine)
    has_structure = norm > len(fine) / 4  # a quarter of a grey level in the mean
    return fine / norm if has_structure else np.zeros_like(fine)


def alike(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray] | np.ndarray
) -> Iterator[Alike]:
    """Every pair of a fingerprint of `first` and one of `second` within LIMIT in some view."""
    if not len(first) or not len(second):
        return
    others = np.asarray(second).reshape(len(second), -1)
    for start in range(0, len(first), BLOCK):
        block = np.stack(first[start : start + BLOCK])
        nearness = np.stack([view.reshape(len(block), -1) @ others.T for view in views(block)])
        best = nearness.argmax(axis=0)
        highest = nearness.max(axis=0)
        for row, column in np.argwhere(highest > 1 - LIMIT).tolist():
            distance = max(0.0, 1 - float(highest[row, column]))
            yield Alike(start + row, column, VIEWS[best[row, column]], distance)


def views(prints: np.ndarray) -> list[np.ndarray]:
    """The square fingerprints (N, S, S) in the eight views, in the order of VIEWS."""
    both = (prints, prints[:, :, ::-1])
    return [np.rot90(one, turns, axes=(1, 2)) for one in both for turns in range(4)]
