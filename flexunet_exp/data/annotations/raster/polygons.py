"""Rules for polygons: each takes the rings of an area and the size of the picture.

The first ring is the outline, the others are holes.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from PIL import Image, ImageDraw

from flexunet_exp.data.annotations.raster.crops import (
    NOTHING,
    Crop,
    Size,
    framed,
    near,
    union,
    within,
    without,
)
from flexunet_exp.data.annotations.raster.runs import of_runs, run_lengths
from flexunet_exp.data.annotations.shapes import Points

BLOCK = 2**20  # edges times rows that are worked on at once
HAIR = 2**-20  # pixels
LONGEST_COCO = 2_000_000  # pixels of an outline that pycocotools draws, in some 160 MB
Rings = tuple[Points, ...]


def by_pillow(rings: Rings, size: Size) -> Crop:
    """Pillow's polygon with its outline: coordinates are cut to whole numbers."""
    found, top, left, (height, width) = framed([np.trunc(ring) for ring in rings], size)
    canvas = Image.new("1", (width, height))
    draw = ImageDraw.Draw(canvas)
    for number, ring in enumerate(found):
        inside = int(number == 0)
        corners = ring if len(ring) > 1 else np.repeat(ring, 2, axis=0)  # Pillow wants two
        draw.polygon([*map(tuple, corners.tolist())], outline=inside, fill=inside)
    return within(np.array(canvas, bool), top, left, size)


def by_opencv(rings: Rings, size: Size) -> Crop:
    """OpenCV's fillPoly over coordinates rounded to whole numbers; lines are inside."""
    return filled([np.rint(ring) for ring in rings], size)


def by_opencv_cut(rings: Rings, size: Size) -> Crop:
    """OpenCV's fillPoly over coordinates cut to whole numbers; lines are inside."""
    return filled([np.trunc(ring) for ring in rings], size)


def filled(rings: Iterable[Points], size: Size) -> Crop:
    """Holes are drawn after the outline, their lines included."""
    found, top, left, frame = framed(list(rings), size)
    canvas = np.zeros(frame, np.uint8)
    for number, ring in enumerate(found):
        cv2.fillPoly(canvas, [ring.astype(np.int32)], int(number == 0))
    return within(canvas.astype(bool), top, left, size)


def by_coco(rings: Rings, size: Size) -> Crop:
    """pycocotools' rule: whole numbers are corners of pixels; edges at a fifth of a pixel.

    Points keep their places: pycocotools rounds them, and moved ones would round elsewhere. Raises
    InputError for rings that are too long: pycocotools keeps each fifth of a pixel of them.
    """
    from pycocotools import mask as coco

    drawn = []
    for ring in rings:
        if len(ring) < 3:  # pycocotools takes two points for a box
            drawn.append(NOTHING)
            continue
        ring = near(ring, LONGEST_COCO)
        (runs,) = coco.frPyObjects([ring.ravel().tolist()], *size)
        drawn.append(of_runs(run_lengths(runs["counts"]), size))
    return without(drawn[0], union(drawn[1:]))


def by_centre(rings: Rings, size: Size) -> Crop:
    """Pixels whose middle lies inside by the even-odd rule; whole numbers are corners of pixels."""
    found, top, left, (height, width) = framed(list(rings), size)
    crossings = np.zeros((height, width + 1), np.int32)
    for edges in (block for ring in found for block in blocks(ring, height)):
        low, high = np.sort(edges[:, 1::2], axis=1).T
        which, rows = each_row(np.ceil(low - 0.5), np.ceil(high - 0.5), height)
        x0, y0, x1, y1 = edges[which].T
        at = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        np.add.at(crossings, (rows, column(np.ceil(at - 0.5), width)), 1)
    return within((np.cumsum(crossings, axis=1)[:, :-1] % 2).astype(bool), top, left, size)


def by_cover(rings: Rings, size: Size) -> Crop:
    """Pixels of which the area covers a part, however small; whole numbers are corners of pixels.

    An area that covers none, such as a line between two pixels, is moved right and down by a hair.
    """
    touched = union([by_centre(rings, size), along_lines(rings, size)])
    if touched.pixels.any():
        return touched
    return along_lines(tuple(ring + HAIR for ring in rings), size)


def along_lines(rings: Rings, size: Size) -> Crop:
    """Pixels whose inside a line of the rings passes through."""
    found, top, left, (height, width) = framed(list(rings), size)
    touched = np.zeros((height, width + 1), np.int32)
    for edges in (block for ring in found for block in blocks(ring, height)):
        low, high = np.sort(edges[:, 1::2], axis=1).T
        which, rows = each_row(np.floor(low), np.ceil(high), height)
        x0, y0, x1, y1 = edges[which].T
        is_flat = y0 == y1
        slope = (x1 - x0) / np.where(is_flat, 1, y1 - y0)
        ends = [np.clip(row, low[which], high[which]) for row in (rows, rows + 1)]
        enters, leaves = (x0 + (end - y0) * slope for end in ends)
        enters, leaves = np.where(is_flat, x0, enters), np.where(is_flat, x1, leaves)
        start = np.floor(np.minimum(enters, leaves))
        behind = np.ceil(np.maximum(enters, leaves))
        np.add.at(touched, (rows, column(start, width)), 1)
        np.add.at(touched, (rows, column(behind, width)), -1)
    return within(np.cumsum(touched, axis=1)[:, :-1] > 0, top, left, size)


def column(positions: np.ndarray, width: int) -> np.ndarray:
    return np.clip(positions, 0, width).astype(np.int64)


def blocks(ring: Points, height: int) -> Iterable[np.ndarray]:
    """The edges (E, 4: x0, y0, x1, y1) of a closed ring, few enough for each row of each."""
    edges = np.hstack([ring, np.roll(ring, -1, axis=0)])
    step = max(1, BLOCK // height)
    for start in range(0, len(edges), step):
        yield edges[start : start + step]


def each_row(first: np.ndarray, behind: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows [first, behind) of each edge that lie in a frame: edge numbers, and rows."""
    first = np.clip(first, 0, height).astype(np.int64)
    counts = np.maximum(0, np.clip(behind, 0, height).astype(np.int64) - first)
    which = np.repeat(np.arange(len(first)), counts)
    start = np.repeat(np.cumsum(counts) - counts, counts)
    return which, first[which] + np.arange(len(which)) - start
