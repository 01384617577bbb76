"""Edges of a colour mask: pixels of no class colour that lie between two exact class colours.

Interpolation blends the colours of both sides into a thin seam. A flat area of a colour that nobody
named is another thing: it may be a class, and is never given to the nearest one. The limits are
those of the 16,073 such pixels of 34 real masks (MVTEC-ZIPPER), which hold 451 seams:
each touches two classes, no pixel is more than 2 pixels from a class colour, no 2 x 2 pixels are of
one colour, and a colour is at most 27 levels a channel from the straight line between the two.
"""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np

from flexunet_exp.data.mask_files import Stored
from flexunet_exp.data.mask_rules import IGNORE

DEEP = 2  # pixels: how far an edge's pixel may be from an exact class colour
OFF_LINE = 54  # levels a channel, twice the most that was found
AROUND = [(y, x) for y in (0, 1, 2) for x in (0, 1, 2) if (y, x) != (1, 1)]


class Seams:
    """The N odd pixels of a mask: those whose value has the class IGNORE in `classes` (K,).

    `palette` is (C, 3). An area is a group of odd pixels that touch, also at their corners.
    """

    def __init__(self, stored: Stored, classes: np.ndarray, palette: np.ndarray):
        self.stored, self.palette = stored, palette.astype(np.float32)
        self.mask = stored.spread(classes)
        self.odd = self.mask == IGNORE
        self.value_of = stored.spread(np.arange(len(classes)))
        self.at = np.nonzero(self.odd)
        self.values = self.value_of[self.at]  # (N,) which value a pixel has
        number, areas = cv2.connectedComponents(self.odd.astype(np.uint8), connectivity=8)
        self.areas = areas[self.at]  # (N,) which area a pixel lies in
        self.touched = self.classes_around(number)

    def classes_around(self, number: int) -> np.ndarray:
        """Whether an area touches a class, (areas, C) bool."""
        touched = np.zeros((number, len(self.palette)), bool)
        framed = np.pad(self.mask, 1, constant_values=IGNORE)
        for down, right in AROUND:
            near = framed[self.at[0] + down, self.at[1] + right]
            known = near != IGNORE
            touched[self.areas[known], near[known]] = True
        return touched

    def foreign(self) -> np.ndarray:
        """Whether a pixel is no edge, (N,) bool."""
        return self.flat() | self.far() | ~self.between()

    def flat(self) -> np.ndarray:
        """Whether a pixel lies in 2 x 2 pixels of one colour, (N,) bool."""
        value = self.value_of
        rows = value[1:] == value[:-1]
        squares = rows[:, 1:] & rows[:, :-1] & (value[1:, 1:] == value[1:, :-1])
        found = np.zeros(value.shape, bool)
        for down in (0, 1):
            for right in (0, 1):
                height, width = squares.shape
                found[down : down + height, right : right + width] |= squares
        return found[self.at]

    def far(self) -> np.ndarray:
        """Whether a pixel is more than DEEP pixels from every exact class colour, (N,) bool."""
        around = np.ones((2 * DEEP + 1, 2 * DEEP + 1), np.uint8)
        return cv2.erode(self.odd.astype(np.uint8), around)[self.at] > 0

    def between(self) -> np.ndarray:
        """Whether a pixel's colour lies between those of two classes that its area touches."""
        found = np.zeros(len(self.values), bool)
        there = np.flatnonzero(self.touched.any(axis=0)).tolist()
        for one, other in combinations(there, 2):
            both = (self.touched[:, one] & self.touched[:, other])[self.areas]
            found |= both & self.on_line(one, other)[self.values]
        return found

    def on_line(self, one: int, other: int) -> np.ndarray:
        """Whether a value's colour lies near the line between the colours of two classes, (K,)."""
        start, line = self.palette[one], self.palette[other] - self.palette[one]
        offsets = self.stored.colours.astype(np.float32) - start
        along = np.clip(offsets @ line / (line @ line), 0, 1)
        return np.abs(offsets - along[:, None] * line).max(axis=1) <= OFF_LINE

    def filled(self, only_touched: bool) -> np.ndarray:
        """The mask (H, W) with the nearest class at each odd pixel, ties to the lower class.

        With `only_touched`, the nearest of the classes that the pixel's area touches.
        """
        colours = self.stored.colours.astype(np.int64)
        offsets = colours[:, None] - self.palette.astype(np.int64)
        distances = (offsets**2).sum(axis=-1)[self.values]  # (N, C)
        if only_touched:
            distances[~self.touched[self.areas]] = np.iinfo(np.int64).max
        filled = self.mask.copy()
        filled[self.at] = distances.argmin(axis=1)
        return filled
