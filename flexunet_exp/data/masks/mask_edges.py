"""Edges of a colour mask: pixels of no class colour that lie between two exact class colours.

Interpolation blends the colours of both sides into a thin seam. A flat area of a colour that nobody
named is another thing: it may be a class, and is never given to the nearest one. The limits follow
from the 16,073 such pixels of 34 real masks (MVTEC-ZIPPER), which form 451 areas: each area touches
two classes, no pixel is more than 2 pixels from a class colour, no 2 x 2 pixels are of one colour,
and a colour is at most 27 levels a channel from the straight line between those of the two classes.
"""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np

from flexunet_exp.data.masks.mask_files import Stored
from flexunet_exp.data.masks.mask_rules import IGNORE

NEAR = 3  # pixels: how far an edge's pixel may be from an exact class colour
OFF_LINE = 54  # levels a channel, twice the most that was found
UNSURE = 10  # levels: lines of which one is not clearly nearer than the other
AROUND = [(down, right) for down in (0, 1, 2) for right in (0, 1, 2) if (down, right) != (1, 1)]


class Seams:
    """The N odd pixels of a mask: those whose value has the class IGNORE in `classes` (K,).

    `palette` is (C, 3). With `only_near`, a pixel takes a class of the two that it lies between,
    else the nearest of all.
    """

    def __init__(
        self, stored: Stored, classes: np.ndarray, palette: np.ndarray, only_near: bool = True
    ):
        self.colours, self.palette = stored.colours.astype(np.int64), palette.astype(np.int64)
        self.mask = stored.spread(classes)
        self.value_of = stored.spread(np.arange(len(classes)))
        self.at = np.nonzero(self.mask == IGNORE)
        self.values = self.value_of[self.at]  # (N,) which value a pixel has
        self.chosen, self.is_between = self.sides()
        if not only_near:
            self.chosen = self.nearest(range(len(palette)))

    def foreign(self) -> np.ndarray:
        """Whether a pixel is no edge, (N,) bool."""
        return self.flat() | ~self.is_between

    def filled(self) -> np.ndarray:
        """The mask (H, W) with the class of each odd pixel."""
        filled = self.mask.copy()
        filled[self.at] = self.chosen
        return filled

    def flat(self) -> np.ndarray:
        """Whether a pixel lies in 2 x 2 pixels of one colour, (N,) bool."""
        value = self.value_of
        rows = value[1:] == value[:-1]
        squares = rows[:, 1:] & rows[:, :-1] & (value[1:, 1:] == value[1:, :-1])
        found = np.zeros(value.shape, bool)
        height, width = squares.shape
        for down in (0, 1):
            for right in (0, 1):
                found[down : down + height, right : right + width] |= squares
        return found[self.at]

    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        """The class (N,) of each pixel by the two near classes between whose colours it lies.

        And whether there are such classes, and no others that fit as well: (N,) bool.
        """
        near = self.classes_near()
        there = np.flatnonzero(near.any(axis=0)).tolist()
        number = len(self.values)
        distances, results = [np.full(number, np.inf)], [np.zeros(number, np.int64)]
        for one, other in combinations(there, 2):
            off = self.off_line(one, other)[self.values]
            distances.append(np.where(near[:, one] & near[:, other], off, np.inf))
            results.append(self.nearest((one, other)))
        off, classes = np.stack(distances), np.stack(results)
        best = off.argmin(axis=0)[None]
        least, chosen = np.take_along_axis(off, best, 0), np.take_along_axis(classes, best, 0)
        unsure = ((off <= least + UNSURE) & (classes != chosen)).any(axis=0)
        return chosen[0], (least[0] <= OFF_LINE) & ~unsure

    def classes_near(self) -> np.ndarray:
        """Whether a class is near a pixel, (N, C) bool.

        Where one class alone is, those that the pixel's area (8 neighbours) touches count.
        """
        around = np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8)
        exact = [(self.mask == index).view(np.uint8) for index in range(len(self.palette))]
        near = np.stack([cv2.dilate(one, around)[self.at] > 0 for one in exact], axis=1)
        lonely = near.sum(axis=1) == 1
        if lonely.any():
            near[lonely] = self.classes_touched()[lonely]
        return near

    def classes_touched(self) -> np.ndarray:
        """Whether the area of a pixel touches a class, (N, C) bool."""
        odd = (self.mask == IGNORE).view(np.uint8)
        number, areas = cv2.connectedComponents(odd, connectivity=8)
        area = areas[self.at]
        touched = np.zeros((number, len(self.palette)), bool)
        framed = np.pad(self.mask, 1, constant_values=IGNORE)
        for down, right in AROUND:
            beside = framed[self.at[0] + down, self.at[1] + right]
            known = beside != IGNORE
            touched[area[known], beside[known]] = True
        return touched[area]

    def off_line(self, one: int, other: int) -> np.ndarray:
        """How far (levels of a channel) colours are off the line between two classes', (K,)."""
        start, line = self.palette[one], self.palette[other] - self.palette[one]
        offsets = self.colours - start
        along = np.clip(offsets @ line / (line @ line), 0, 1)
        return np.abs(offsets - along[:, None] * line).max(axis=1)

    def nearest(self, classes: tuple[int, ...] | range) -> np.ndarray:
        """Of some classes, the one of the nearest colour, ties to the lower: (N,)."""
        indices = np.array(classes)
        offsets = self.colours[:, None] - self.palette[indices]
        return indices[(offsets**2).sum(axis=-1).argmin(axis=1)][self.values]
