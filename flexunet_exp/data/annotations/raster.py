"""Draws shapes into pixels, as an annotation tool does or by one of two exact rules.

There is no single truth: a square from (10, 10) to (20, 20) has 121 pixels where whole numbers are
the middles of pixels (Pillow, OpenCV) and 100 where they are corners (COCO). A `Tool` is the rule
of the program that wrote the shape. `centre` takes the pixels whose middle lies inside, `cover` all
that the shape touches; both read whole numbers as the tool does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

from flexunet_exp.data.annotations.shapes import (
    Bitmap,
    BoxOnly,
    Dots,
    Ellipse,
    Line,
    Packed,
    Points,
    Polygon,
    Polygons,
    Runs,
    Shape,
)
from flexunet_exp.errors import InputError

BLOCK = 2**22  # edges times rows that are worked on at once
FAR = 1_000_000.0  # pixels: points further away are moved here, where whole numbers stay exact
CORNERS = 128  # of the polygon that stands for an ellipse, where a rule has no ellipse of its own
LONGEST = 4_000_000  # pixels: pycocotools keeps some hundred bytes for each of a line
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


def within(pixels: np.ndarray, top: int, left: int, size: Size) -> Crop:
    """The part of pixels (h, w) that lies inside of a picture."""
    height, width = pixels.shape
    rows = slice(max(0, -top), max(0, min(height, size[0] - top)))
    columns = slice(max(0, -left), max(0, min(width, size[1] - left)))
    return Crop(pixels[rows, columns], max(0, top), max(0, left))


# Rules for polygons. Each takes the rings of an area (the first is its outline, the others are
# holes) and the size of the picture.
Rings = tuple[Points, ...]


def by_pillow(rings: Rings, size: Size) -> Crop:
    """Pillow's polygon with its outline: coordinates are cut to whole numbers."""
    found, top, left, (height, width) = framed([np.trunc(ring) for ring in rings], size)
    canvas = Image.new("1", (width, height))
    draw = ImageDraw.Draw(canvas)
    for number, ring in enumerate(found):
        inside = int(number == 0)
        draw.polygon([*map(tuple, ring.tolist())], outline=inside, fill=inside)
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
    InputError for lines so long that it would need gigabytes.
    """
    from pycocotools import mask as coco

    if min(map(len, rings)) < 3:  # pycocotools takes two points for a box
        return NOTHING
    rings = tuple(np.clip(ring, -FAR, FAR) for ring in rings)
    if sum(map(length_of, rings)) > LONGEST:
        raise InputError("its points lie far outside of the picture. Correct them")
    runs = [coco.frPyObjects([ring.ravel().tolist()], *size)[0] for ring in rings]
    left, top, width, height = map(int, coco.toBbox(runs[0]))
    place = slice(top, top + height), slice(left, left + width)
    pixels, *holes = (coco.decode(one)[place].astype(bool) for one in runs)
    for hole in holes:
        pixels &= ~hole
    return Crop(pixels, top, left)


def length_of(ring: Points) -> float:
    """The steps of a closed line from pixel to pixel."""
    return float(np.abs(ring - np.roll(ring, -1, axis=0)).max(axis=1).sum())


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
    """Pixels whose middle lies inside, and all that a line of the shape passes through."""
    found, top, left, (height, width) = framed(list(rings), size)
    touched = np.zeros((height, width + 1), np.int32)
    for edges in (block for ring in found for block in blocks(ring, height)):
        low, high = np.sort(edges[:, 1::2], axis=1).T
        first = np.floor(low)
        which, rows = each_row(first, np.maximum(first + 1, np.ceil(high)), height)
        x0, y0, x1, y1 = edges[which].T
        is_flat = y0 == y1
        slope = (x1 - x0) / np.where(is_flat, 1, y1 - y0)
        ends = [np.clip(row, low[which], high[which]) for row in (rows, rows + 1)]
        enters, leaves = (x0 + (end - y0) * slope for end in ends)
        enters, leaves = np.where(is_flat, x0, enters), np.where(is_flat, x1, leaves)
        start = np.floor(np.minimum(enters, leaves))
        behind = np.maximum(start + 1, np.ceil(np.maximum(enters, leaves)))
        np.add.at(touched, (rows, column(start, width)), 1)
        np.add.at(touched, (rows, column(behind, width)), -1)
    lines = within(np.cumsum(touched, axis=1)[:, :-1] > 0, top, left, size)
    return union([by_centre(rings, size), lines])


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


def framed(rings: list[Points], size: Size) -> tuple[list[Points], int, int, Size]:
    """Rings moved into a frame of their own, the frame's top, left, and size.

    The frame ends a pixel around the picture: shapes that reach far outside cost no memory.
    """
    rings = [np.clip(ring, -FAR, FAR) for ring in rings]
    every = np.concatenate(rings)
    limit = (size[1], size[0])
    low = np.clip(np.floor(every.min(axis=0)) - 1, (-1, -1), limit)
    high = np.clip(np.ceil(every.max(axis=0)) + 2, low + 1, np.add(limit, 1))
    left, top = low.astype(int).tolist()
    width, height = (high - low).astype(int).tolist()
    return [ring - (left, top) for ring in rings], top, left, (height, width)


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


# Rules for the other shapes.


def ellipse_as_polygon(ellipse: Ellipse) -> Points:
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    turn = np.deg2rad(ellipse.degrees)
    x, y = ellipse.radii[0] * np.cos(angles), ellipse.radii[1] * np.sin(angles)
    turned = np.stack(
        [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1
    )
    return turned + ellipse.centre


def ellipse_by_pillow(ellipse: Ellipse, size: Size) -> Crop:
    """Pillow's ellipse within its box, as LabelMe draws circles; turned ones as polygons."""
    if ellipse.degrees:
        return by_pillow((ellipse_as_polygon(ellipse),), size)
    (x, y), (rx, ry) = ellipse.centre, ellipse.radii
    corners = np.array([(x - rx, y - ry), (x + rx, y + ry)])
    (moved,), top, left, (height, width) = framed([corners], size)
    canvas = Image.new("1", (width, height))
    ImageDraw.Draw(canvas).ellipse([*map(tuple, moved.tolist())], outline=1, fill=1)
    return within(np.array(canvas, bool), top, left, size)


def lines_by_pillow(points: Points, width: float, size: Size) -> Crop:
    """Pillow's line through points; its joints have corners."""
    (moved,), top, left, frame = framed_widely(points, width, size)
    canvas = Image.new("1", frame[::-1])
    ImageDraw.Draw(canvas).line([*map(tuple, moved.tolist())], fill=1, width=round(width))
    return within(np.array(canvas, bool), top, left, size)


def lines_by_opencv(points: Points, width: float, size: Size) -> Crop:
    """OpenCV's polylines over coordinates rounded to whole numbers."""
    (moved,), top, left, frame = framed_widely(points, width, size)
    canvas = np.zeros(frame, np.uint8)
    cv2.polylines(canvas, [np.rint(moved).astype(np.int32)], False, 1, max(1, round(width)))
    return within(canvas.astype(bool), top, left, size)


def lines_exactly(points: Points, width: float, size: Size) -> Crop:
    """Pixels whose middle is at most half a width away from the line."""
    (moved,), top, left, frame = framed_widely(points, width, size)
    rows, columns = np.indices(frame) + 0.5
    near = np.full(frame, np.inf)
    for (x0, y0), (x1, y1) in zip(moved, moved[1:] if len(moved) > 1 else moved, strict=False):
        dx, dy = x1 - x0, y1 - y0
        length = dx * dx + dy * dy
        along = ((columns - x0) * dx + (rows - y0) * dy) / length if length else 0.0
        along = np.clip(along, 0, 1)
        distance = np.hypot(columns - x0 - along * dx, rows - y0 - along * dy)
        near = np.minimum(near, distance)
    return within(near <= width / 2, top, left, size)


def framed_widely(points: Points, width: float, size: Size) -> tuple[list[Points], int, int, Size]:
    """As `framed`, with room for a line's width."""
    room = width / 2 + 1
    corners = np.array([points.min(axis=0) - room, points.max(axis=0) + room])
    _, top, left, frame = framed([corners], size)
    return [points - (left, top)], top, left, frame


@dataclass(frozen=True)
class Tool:
    """How an annotation tool draws each kind of shape.

    `line_width` and `point_radius` are the tool's own, in pixels, None where it draws none.
    """

    name: str
    polygon: Callable[[Rings, Size], Crop] = by_coco
    line: Callable[[Points, float, Size], Crop] = lines_by_opencv
    ellipse: Callable[[Ellipse, Size], Crop] | None = None  # None: as a polygon
    line_width: float | None = None
    point_radius: float | None = None

    def by(self, raster: str) -> Tool:
        """This tool with another rule: tool, centre or cover."""
        if raster == "tool":
            return self
        polygon = {"centre": by_centre, "cover": by_cover}[raster]
        return replace(self, polygon=polygon, line=lines_exactly, ellipse=None)

    def draw(self, shape: Shape, size: Size) -> Crop:
        """The pixels of a shape inside of a picture; NOTHING where there are none.

        Raises InputError where packed pixels are damaged, or a line or point has no width.
        """
        if isinstance(shape, Polygon):
            return self.polygon((shape.points, *shape.holes), size)
        if isinstance(shape, Polygons):
            return union([self.draw(part, size) for part in shape.parts])
        if isinstance(shape, Ellipse):
            if self.ellipse:
                return self.ellipse(shape, size)
            return self.polygon((ellipse_as_polygon(shape),), size)
        if isinstance(shape, Line):
            return self.line(shape.points, self.line_width or 1, size)
        if isinstance(shape, Dots):
            radius = self.point_radius or 0.5
            discs = [Ellipse((x, y), (radius, radius)) for x, y in shape.points.tolist()]
            return union([self.draw(disc, size) for disc in discs])
        if isinstance(shape, Runs):
            shape = decoded(shape)
        if isinstance(shape, Packed):
            shape = shape.unpack()
        if isinstance(shape, Bitmap):
            return within(np.asarray(shape.pixels, bool), shape.top, shape.left, size)
        assert isinstance(shape, BoxOnly)
        return NOTHING


def decoded(runs: Runs) -> Bitmap:
    """The pixels of run lengths; InputError where they do not fill the picture exactly.

    pycocotools would write behind its memory where they do not, so that it decodes nothing here.
    """
    height, width = runs.size
    counts = run_lengths(runs.counts) if isinstance(runs.counts, bytes) else list(runs.counts)
    if min(counts, default=-1) < 0 or sum(counts) != height * width:
        raise InputError(
            f"run lengths of {sum(counts):,} pixels, expected {height} × {width} = "
            f"{height * width:,}: export them again"
        )
    values = np.arange(len(counts)) % 2 == 1
    return Bitmap(np.repeat(values, counts).reshape(width, height).T)


def run_lengths(text: bytes) -> list[int]:
    """The run lengths of COCO's compressed text.

    Each number is a sequence of characters of five bits, lowest first, with a bit for "more" and a
    sign in the last; from the third number on it is the difference to the number two before.
    """
    counts: list[int] = []
    value = shift = 0
    for byte in text:
        bits = byte - 48
        if not 0 <= bits < 64 or shift > 40:
            raise InputError("compressed run lengths with characters that they never hold")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise InputError("compressed run lengths that are cut off")
    return counts
