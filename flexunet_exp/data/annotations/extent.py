"""Where a shape lies and how large it is by its coordinates, before it is drawn."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from flexunet_exp.data.annotations.raster import Size
from flexunet_exp.data.annotations.shapes import BoxOnly, Dots, Ellipse, Line, Polygon, Polygons


def points_of(shape: Any) -> np.ndarray | None:
    """All points of a shape of lines; None of a shape of pixels."""
    if isinstance(shape, Polygon):
        return np.concatenate([shape.points, *shape.holes])
    if isinstance(shape, Polygons):
        return np.concatenate([points_of(part) for part in shape.parts])  # type: ignore[arg-type]
    if isinstance(shape, (Line, Dots)):
        return shape.points
    if isinstance(shape, Ellipse):
        return np.array([shape.centre, shape.radii, (shape.degrees, 0)])
    if isinstance(shape, BoxOnly):
        return np.array(shape.corners).reshape(2, 2)
    return None


def is_outside(shape: Any, size: Size) -> bool:
    points = points_of(shape)
    if points is None or isinstance(shape, Ellipse):
        return False
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return bool(right < 0 or bottom < 0 or left > size[1] or top > size[0])


def is_cut(shape: Any, size: Size) -> bool:
    """Whether an area reaches more than a pixel over the edge of the picture."""
    if not isinstance(shape, (Polygon, Polygons)):
        return False
    points = points_of(shape)
    assert points is not None
    return bool((points < -1).any() or (points > (size[1] + 1, size[0] + 1)).any())


def area_of(shape: Any) -> float | None:
    """The area of polygons by their coordinates; None of other shapes."""
    if isinstance(shape, Polygons):
        return sum(area_of(part) or 0.0 for part in shape.parts)
    if not isinstance(shape, Polygon):
        return None
    outline, *holes = (float(cv2.contourArea(ring.astype(np.float32)))
                       for ring in (shape.points, *shape.holes))  # fmt: skip
    return outline - sum(holes)
