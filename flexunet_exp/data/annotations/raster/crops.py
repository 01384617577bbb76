"""Pieces of a picture, and frames in which shapes are drawn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from flexunet_exp.data.annotations.shapes import Points
from flexunet_exp.errors import InputError

FAR = 200_000.0  # pixels: points further away are moved here, where whole numbers stay exact
LONGEST = 2e8  # pixels of a shape's lines: drawing takes time for each
Size = tuple[int, int]  # (height, width)


class Crop(NamedTuple):
    """Pixels (h, w) bool of a shape, the first at row `top`, column `left` of the picture."""

    pixels: np.ndarray
    top: int = 0
    left: int = 0

    @property
    def place(self) -> tuple[slice, slice]:
        height, width = self.pixels.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


NOTHING = Crop(np.zeros((0, 0), bool))


NOTHING = Crop(np.zeros((0, 0), bool))


def within(pixels: np.ndarray, top: int, left: int, size: Size) -> Crop:
    """The part of pixels (h, w) that lies inside of a picture."""
    height, width = pixels.shape
    rows = slice(max(0, -top), max(0, min(height, size[0] - top)))
    columns = slice(max(0, -left), max(0, min(width, size[1] - left)))
    return Crop(pixels[rows, columns], max(0, top), max(0, left))


def trimmed(crop: Crop) -> Crop:
    """The same pixels in the smallest box: what is kept of many objects stays small."""
    rows, columns = (np.flatnonzero(crop.pixels.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return NOTHING
    top, left = int(rows[0]), int(columns[0])
    pixels = crop.pixels[top : rows[-1] + 1, left : columns[-1] + 1].copy()
    return Crop(pixels, crop.top + top, crop.left + left)


def framed(rings: list[Points], size: Size) -> tuple[list[Points], int, int, Size]:
    """Rings moved into a frame of their own, the frame's top, left, and size.

    The frame ends a pixel around the shape, so that drawing costs no more than the shape is large,
    or at the border of the picture, where a tool cuts lines off. Raises InputError where the lines
    are too long to be drawn.
    """
    rings = [near(ring) for ring in rings]
    every = np.concatenate(rings)
    limit = np.array([size[1], size[0]])
    low = np.clip(np.floor(every.min(axis=0)) - 1, 0, limit - 1)
    high = np.clip(np.ceil(every.max(axis=0)) + 2, low + 1, limit)
    left, top = low.astype(int).tolist()
    width, height = (high - low).astype(int).tolist()
    return [ring - (left, top) for ring in rings], top, left, (height, width)


def near(ring: Points, longest: float = LONGEST) -> Points:
    """The points, none further away than FAR; InputError where lines through them are too long."""
    ring = np.clip(ring, -FAR, FAR)
    steps = np.abs(np.diff(ring, axis=0, append=ring[:1])).max(axis=1).sum()
    if steps > longest:
        raise InputError(f"its lines are {steps:,.0f} pixels long: correct its coordinates")
    return ring


def without(crop: Crop, hole: Crop) -> Crop:
    """The pixels of a crop that are not those of another."""
    if not hole.pixels.size or not crop.pixels.size:
        return crop
    height, width = crop.pixels.shape
    part = within(hole.pixels, hole.top - crop.top, hole.left - crop.left, (height, width))
    pixels = crop.pixels.copy()
    pixels[part.place] &= ~part.pixels
    return crop._replace(pixels=pixels)


def union(crops: list[Crop]) -> Crop:
    """All pixels of any crop."""
    filled = [crop for crop in crops if crop.pixels.any()]
    if len(filled) < 2:
        return filled[0] if filled else NOTHING
    top, left = (min(values) for values in zip(*(crop[1:] for crop in filled), strict=True))
    bottom = max(crop.top + crop.pixels.shape[0] for crop in filled)
    right = max(crop.left + crop.pixels.shape[1] for crop in filled)
    pixels = np.zeros((bottom - top, right - left), bool)
    for crop in filled:
        rows, columns = crop.place
        pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] |= (
            crop.pixels
        )
    return Crop(pixels, top, left)
