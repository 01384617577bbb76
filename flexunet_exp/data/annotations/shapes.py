"""Shapes of annotated objects, in pixels of the upright picture: x right, y down.

Coordinates are those of the tool that wrote them: its rule (`raster.Tool`) says whether a whole
number is the middle of a pixel or its corner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Points = np.ndarray  # (N, 2) float64: x, y


@dataclass(frozen=True)
class Polygon:
    """An area within closed lines; `holes` are cut out of it."""

    points: Points
    holes: tuple[Points, ...] = ()


@dataclass(frozen=True)
class Polygons:
    """One object of several areas: their union."""

    parts: tuple[Polygon, ...]


@dataclass(frozen=True)
class Ellipse:
    """An ellipse about `centre` (x, y) with `radii` (rx, ry), turned clockwise by `degrees`."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    degrees: float = 0


@dataclass(frozen=True)
class Line:
    """A line through points, drawn as wide as the tool or `line_width` says."""

    points: Points


@dataclass(frozen=True)
class Dots:
    """Single points, drawn as discs of the radius that the tool or `point_radius` says."""

    points: Points


@dataclass(frozen=True)
class Bitmap:
    """Pixels (h, w) bool whose first one lies at column `left`, row `top`."""

    pixels: np.ndarray
    left: int = 0
    top: int = 0


@dataclass(frozen=True)
class Runs:
    """Run lengths over a whole picture (height, width) in COCO's order: by columns, zeros first.

    `counts` are COCO's compressed text or a list of whole numbers.
    """

    counts: bytes | tuple[int, ...]
    size: tuple[int, int]


@dataclass(frozen=True)
class Packed:
    """A shape that is made when it is drawn: memory stays flat, and the picture's size is known.

    `unpack` returns another shape from (height, width) of the picture; it raises InputError where
    its data is damaged.
    """

    unpack: Callable[[tuple[int, int]], Shape] = field(repr=False)


@dataclass(frozen=True)
class BoxOnly:
    """A box around an object whose pixels nobody marked: left, top, right, bottom."""

    corners: tuple[float, float, float, float]


Shape = Polygon | Polygons | Ellipse | Line | Dots | Bitmap | Runs | Packed | BoxOnly


def box(left: float, top: float, right: float, bottom: float) -> Polygon:
    """A rectangle that a person drew as one; its corners may come in any order."""
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return Polygon(np.array(corners, float))


def turned_box(centre: tuple[float, float], width: float, height: float, degrees: float) -> Polygon:
    """A rectangle turned clockwise about its centre."""
    angle = np.deg2rad(degrees)
    half = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (width / 2, height / 2)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    return Polygon(half @ turn + centre)
