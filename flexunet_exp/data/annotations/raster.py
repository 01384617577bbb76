"""Draws shapes into pixels, as an annotation tool does or by one of two exact rules.

There is no single truth: a square from (10, 10) to (20, 20) has 121 pixels where whole numbers are
the middles of pixels (Pillow, OpenCV) and 100 where they are corners (COCO). A `Tool` is the rule
of the program that wrote the shape. `centre` takes the pixels whose middle lies inside, `cover` all
of which the shape covers a part; both read whole numbers as corners, which is where a person who
works in a magnified picture clicks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
from flexunet_exp.data.image_files import MAX_PIXELS
from flexunet_exp.errors import InputError

BLOCK = 2**20  # edges times rows that are worked on at once
FAR = 200_000.0  # pixels: points further away are moved here, where whole numbers stay exact
LONGEST = 2e8  # pixels of a shape's lines: drawing takes time, and pycocotools memory, for each
THICKEST = 32_767  # pixels of a line of OpenCV
HAIR = 2**-20  # pixels
LONGEST_COCO = 2_000_000  # pixels of an outline that pycocotools draws, in some 160 MB
CORNERS = 128  # of the polygon that stands for an ellipse, where a rule has no ellipse of its own
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


def trimmed(crop: Crop) -> Crop:
    """The same pixels in the smallest box: what is kept of many objects stays small."""
    rows, columns = (np.flatnonzero(crop.pixels.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return NOTHING
    top, left = int(rows[0]), int(columns[0])
    pixels = crop.pixels[top : rows[-1] + 1, left : columns[-1] + 1].copy()
    return Crop(pixels, crop.top + top, crop.left + left)


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
    """Pillow's ellipse within its box, cut to whole numbers; turned ones as polygons."""
    if ellipse.degrees:
        return by_pillow((ellipse_as_polygon(ellipse),), size)
    (x, y), (rx, ry) = ellipse.centre, ellipse.radii
    corners = np.trunc([(x - rx, y - ry), (x + rx, y + ry)])
    (moved,), top, left, (height, width) = framed([corners], size)
    canvas = Image.new("1", (width, height))
    ImageDraw.Draw(canvas).ellipse([*map(tuple, moved.tolist())], outline=1, fill=1)
    return within(np.array(canvas, bool), top, left, size)


def lines_by_pillow(points: Points, width: float, size: Size) -> Crop:
    """Pillow's line through points, cut to whole numbers; its joints have corners."""
    (moved,), top, left, frame = framed_widely(np.trunc(points), width, size)
    canvas = Image.new("1", frame[::-1])
    ImageDraw.Draw(canvas).line([*map(tuple, moved.tolist())], fill=1, width=round(width))
    return within(np.array(canvas, bool), top, left, size)


def lines_by_opencv(points: Points, width: float, size: Size) -> Crop:
    """OpenCV's polylines over coordinates rounded to whole numbers."""
    (moved,), top, left, frame = framed_widely(np.rint(points), width, size)
    canvas = np.zeros(frame, np.uint8)
    cv2.polylines(
        canvas, [moved.astype(np.int32)], False, 1, int(np.clip(round(width), 1, THICKEST))
    )
    return within(canvas.astype(bool), top, left, size)


def lines_exactly(points: Points, width: float, size: Size) -> Crop:
    """Pixels whose middle is at most half a width away from the line."""
    ends = points[1:] if len(points) > 1 else points
    pieces = zip(points, ends, strict=False)
    return union([piece_exactly(np.stack(piece), width, size) for piece in pieces])


def piece_exactly(ends: Points, width: float, size: Size) -> Crop:
    """As `lines_exactly`, of one straight piece."""
    (moved,), top, left, frame = framed_widely(ends, width, size)
    (x0, y0), (dx, dy) = moved[0], moved[1] - moved[0]
    rows, columns = np.ogrid[: frame[0], : frame[1]]
    across, down = columns + 0.5 - x0, rows + 0.5 - y0
    length = dx * dx + dy * dy
    along = np.clip((across * dx + down * dy) / length, 0, 1) if length else 0.0
    distance = np.hypot(across - along * dx, down - along * dy)
    return within(distance <= width / 2, top, left, size)


def framed_widely(points: Points, width: float, size: Size) -> tuple[list[Points], int, int, Size]:
    """As `framed`, with room for a line's width."""
    room = width / 2 + 1
    points = near(points)
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
            return decoded(shape, size)
        if isinstance(shape, Packed):
            shape = shape.unpack()
        if isinstance(shape, Bitmap):
            pixels = np.asarray(shape.pixels, bool)
            return trimmed(within(pixels, shape.top, shape.left, size))
        assert isinstance(shape, BoxOnly)
        return NOTHING


def decoded(runs: Runs, size: Size) -> Crop:
    """The pixels of run lengths; InputError where they do not fill the picture exactly.

    pycocotools would write behind its memory where they do not, so that it decodes nothing here.
    """
    height, width = size
    if runs.size != size:
        raise InputError(f"run lengths of {runs.size[0]} × {runs.size[1]} pixels in a picture of "
                         f"{height} × {width}: export them again")  # fmt: skip
    if height * width > MAX_PIXELS:
        raise InputError(f"run lengths of {height} × {width}, more than {MAX_PIXELS:,} pixels")
    counts = run_lengths(runs.counts) if isinstance(runs.counts, bytes) else list(runs.counts)
    if min(counts, default=-1) < 0 or sum(counts) != height * width:
        raise InputError(
            f"run lengths of {sum(counts):,} pixels, expected {height} × {width} = "
            f"{height * width:,}: export them again"
        )
    return of_runs(counts, size)


def of_runs(counts: Sequence[int], size: Size) -> Crop:
    """Run lengths that fill a picture by columns, zeros first, as the box that holds their ones."""
    lengths = np.array(counts, np.int64)
    ends = np.cumsum(lengths)
    ones = np.flatnonzero(lengths[1::2]) * 2 + 1
    if not len(ones):
        return NOTHING
    height = size[0]
    left = int(ends[ones[0] - 1]) // height
    right = -(-int(ends[ones[-1]]) // height)
    bounds = np.concatenate([[0], ends]).clip(left * height, right * height)
    kept = bounds[1:] - bounds[:-1]
    values = np.arange(len(kept)) % 2 == 1
    pixels = np.repeat(values, kept).reshape(right - left, height).T
    return trimmed(Crop(pixels, 0, left))


def run_lengths(text: bytes) -> list[int]:
    """The run lengths of COCO's compressed text.

    Each number is a sequence of characters of five bits, lowest first, with a bit for "more" and a
    sign in the last; from the fourth number on it is the difference to the number two before.
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
