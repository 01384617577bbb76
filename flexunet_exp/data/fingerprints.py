"""Finds similar pictures: copies, also flipped, turned by 90 degrees, compressed or brightened.

A fingerprint is the fine structure of a small grey version. Two are compared in all eight views.
Of many pictures, only pairs are compared whose `invariants` are near. No pair within LIMIT is lost:
two invariants are never further apart than the nearest views of the two fingerprints.
Deformed, sheared or cropped copies are found by their names (`layouts.parse_name`), not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from scipy.fft import dct

from flexunet_exp.data.channels import grey

SIDE = 96
SMOOTHING = 2.0  # pixels; coarser structure is removed: pictures of one background share it
EDGE = 4  # pixels cut off at the border, where the smoothed picture shows the fall of light
# Measured at full size: a copy (JPEG of quality 50, brightened, gamma 1.5, noise of 10 grey levels)
# is at most 0.009 from its original; two pictures of grid are at least 0.183 apart, of screw 0.066.
# With 48 pixels a side, two drawn parts in one position, each with its own grain, were 0.011 apart.
LIMIT = 0.02
SHAPE = (SIDE - 2 * EDGE, SIDE - 2 * EDGE)
BLOCK = 256  # pictures compared at once
FEW = 16  # pictures: so few are compared with all others directly
WAVES, KEPT = 32, 256  # cosine frequencies of a side; numbers of an invariant
ROUNDING = 1e-3  # of a squared distance of two invariants
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
    if len(first) <= FEW:
        yield from nearest(first, second, range(len(first)), range(len(second)))
        return
    for row, columns in candidates(first, second):
        yield from nearest(first, second, [row], columns)


def nearest(
    first: Sequence[np.ndarray],
    second: Sequence[np.ndarray] | np.ndarray,
    rows: Sequence[int],
    columns: Sequence[int],
) -> Iterator[Alike]:
    """The pairs within LIMIT of these rows of `first` and these of `second`."""
    seen = views(np.stack([first[row] for row in rows]).astype(np.float32))
    is_whole = isinstance(second, np.ndarray) and len(columns) == len(second)
    chosen = second if is_whole else [second[column] for column in columns]
    others = np.asarray(chosen, np.float32).reshape(len(columns), -1)
    nearness = np.stack([view.reshape(len(rows), -1) @ others.T for view in seen])
    best = nearness.argmax(axis=0)
    highest = nearness.max(axis=0)
    for row, column in np.argwhere(highest > 1 - LIMIT).tolist():
        distance = max(0.0, 1 - float(highest[row, column]))
        yield Alike(rows[row], columns[column], VIEWS[best[row, column]], distance)


def candidates(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray] | np.ndarray
) -> Iterator[tuple[int, list[int]]]:
    """Rows of `first`, each with the rows of `second` that may be within LIMIT of it."""
    sample = invariants(np.asarray(second[:BLOCK], np.float32))
    telling = np.sort(np.argsort(-np.square(sample).mean(axis=0), kind="stable")[:KEPT])
    theirs = np.concatenate([invariants(block)[:, telling] for block in blocks(second)])
    # One product gives the squared distances: |a|² + |b|² - 2 ab. Of two vectors of norm 1, the
    # squared distance is twice one minus their product.
    right = np.hstack([-2 * theirs, squares(theirs), np.ones((len(theirs), 1), np.float32)])
    for number, block in enumerate(blocks(first)):
        ours = invariants(block)[:, telling]
        left = np.hstack([ours, np.ones((len(ours), 1), np.float32), squares(ours)])
        is_near = left @ right.T <= 2 * LIMIT + ROUNDING
        for row in np.flatnonzero(is_near.any(axis=1)).tolist():
            yield number * BLOCK + row, np.flatnonzero(is_near[row]).tolist()


def squares(vectors: np.ndarray) -> np.ndarray:
    """The squared length of each vector, (N, 1)."""
    return np.square(vectors).sum(axis=1, keepdims=True)


def blocks(prints: Sequence[np.ndarray] | np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(prints), BLOCK):
        yield np.asarray(prints[start : start + BLOCK], np.float32)


def invariants(prints: np.ndarray) -> np.ndarray:
    """Numbers of square fingerprints (N, S, S) that are the same in all eight views, (N, K).

    They are magnitudes of cosine frequencies. A flip changes only the sign of a frequency, and a
    transposition exchanges the two directions, whose magnitudes are sorted. Neither step takes two
    fingerprints further apart.
    """
    waves = cosines(prints.shape[-1])
    found = np.abs(waves @ prints @ waves.T)
    turned = found.transpose(0, 2, 1)
    above, strictly = np.triu_indices(len(waves)), np.triu_indices(len(waves), 1)
    larger = np.maximum(found, turned)[:, *above]
    return np.hstack([larger, np.minimum(found, turned)[:, *strictly]])


@cache
def cosines(side: int) -> np.ndarray:
    """The lowest rows of the orthonormal cosine transform of a side, (WAVES, side)."""
    return dct(np.eye(side, dtype=np.float32), axis=0, norm="ortho")[:WAVES]


def views(prints: np.ndarray) -> list[np.ndarray]:
    """The square fingerprints (N, S, S) in the eight views, in the order of VIEWS."""
    both = (prints, prints[:, :, ::-1])
    return [np.rot90(one, turns, axes=(1, 2)) for one in both for turns in range(4)]
