"""Rules for ellipses and for lines of a width."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw

from flexunet_exp.data.annotations.raster.crops import Crop, Size, framed, near, union, within
from flexunet_exp.data.annotations.raster.polygons import by_pillow
from flexunet_exp.data.annotations.shapes import Ellipse, Points

THICKEST = 32_767  # pixels of a line of OpenCV
CORNERS = 128  # of the polygon that stands for an ellipse, where a rule has no ellipse of its own


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
