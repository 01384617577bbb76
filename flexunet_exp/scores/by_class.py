"""Softmax and argmax over the classes of pixels, class by class.

NumPy is slow over a short last axis. Here each class is a plane of its own, and rows are taken in
blocks that stay in the processor's cache. All values are those of SciPy's softmax and of NumPy's
argmax and max, to the bit.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

BLOCK_VALUES = 2**18  # in a block of rows; 1 MiB of float32
# No other class can have as much, also where rounding makes the sum a little more than one.
SURELY_MOST = np.float32(0.51)
FEW = 0.1  # of the pixels; to compare all costs as much as to pick a fifth of them
IN_PAIRS = 8  # so many values NumPy adds in another order than one after the other


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (…, W, C) float32 of logits (…, W, C) float32."""
    rows = logits.reshape(-1, *logits.shape[-2:])
    found = np.empty(rows.shape, np.float32)
    for part in blocks(rows.shape):
        planes = cv2.split(rows[part])
        highest = functools.reduce(np.maximum, planes)
        for plane in planes:
            np.exp(np.subtract(plane, highest, out=plane), out=plane)
        write_shares(planes, found[part])
    return found.reshape(logits.shape)


def shares(values: np.ndarray) -> np.ndarray:
    """Each value (H, W, C) float32 divided by the sum over its pixel's classes."""
    found = np.empty(values.shape, np.float32)
    for part in blocks(values.shape):
        write_shares(cv2.split(values[part]), found[part])
    return found


def write_shares(planes: Sequence[np.ndarray], into: np.ndarray) -> None:
    """Writes the planes (rows, W), which are changed, divided by their sum into (rows, W, C)."""
    if len(planes) < IN_PAIRS:
        total = functools.reduce(np.add, planes)
    else:
        total = cv2.merge(planes).sum(axis=-1)
    for plane in planes:
        np.divide(plane, total, out=plane)
    cv2.merge(planes, into)


def most_probable(probabilities: np.ndarray, mask: np.ndarray, certainty: np.ndarray) -> float:
    """Writes the most probable class and its probability; returns the least of class 0.

    `probabilities` (H, W, C) float32 sum to one; `mask` (H, W) uint8, of equal classes the first;
    `certainty` (H, W) of any float. Only pixels where class 0 is not above `SURELY_MOST` are
    compared, unless they are many.
    """
    least = np.float32(np.inf)
    for part in blocks(probabilities.shape):
        block = probabilities[part]
        first = cv2.extractChannel(block, 0)
        least = np.minimum(least, first.min())
        others = np.flatnonzero(~(first > SURELY_MOST))  # and those that are not a number
        if len(others) > first.size * FEW:
            certainty[part] = highest_of(cv2.split(block), mask[part])
            continue
        chosen = block.reshape(-1, block.shape[-1])[others]
        own = np.zeros(first.shape, mask.dtype)
        own.flat[others] = chosen.argmax(axis=-1)
        first.flat[others] = chosen.max(axis=-1)
        mask[part], certainty[part] = own, first
    return float(least)


def highest_of(planes: Sequence[np.ndarray], mask: np.ndarray) -> np.ndarray:
    """The highest of the planes (rows, W), which are changed; writes its index into the mask."""
    highest, higher, own = planes[0], np.empty(mask.shape, bool), np.empty_like(mask)
    mask[...] = 0
    for index, plane in enumerate(planes[1:], start=1):
        np.greater(plane, highest, out=higher)
        # A later class has a larger index: the largest is that of the last that was higher.
        np.maximum(mask, np.multiply(higher.view(np.uint8), np.uint8(index), out=own), out=mask)
        np.maximum(highest, plane, out=highest)
    return highest


def blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """The blocks of rows of an array of shape (H, W, C)."""
    height, width, classes = shape
    rows = max(1, BLOCK_VALUES // (width * classes))
    for top in range(0, height, rows):
        yield slice(top, top + rows)
