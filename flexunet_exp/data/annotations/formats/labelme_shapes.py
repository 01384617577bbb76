"""The shapes of LabelMe."""

from __future__ import annotations

import re

import numpy as np

from flexunet_exp.data.annotations import embedded
from flexunet_exp.data.annotations.checked_json import member
from flexunet_exp.data.annotations.formats.format import points_of
from flexunet_exp.data.annotations.raster import Size
from flexunet_exp.data.annotations.shapes import (
    Bitmap,
    Dots,
    Ellipse,
    Line,
    Packed,
    Polygon,
    Shape,
    box,
)
from flexunet_exp.errors import InputError


def shape_of(node: dict, where: str) -> Shape:
    kind = node.get("shape_type") or "polygon"
    points = points_of(node.get("points"), f"{where} points")
    if kind == "polygon":
        if len(points) < 3:
            raise InputError(f"{where}: a polygon of {len(points)} points, expected three or more.")
        return Polygon(points)
    if kind == "oriented_rectangle":
        return Polygon(exactly(points, 4, kind, where))
    if kind == "rectangle":
        return box(*exactly(points, 2, kind, where).ravel().tolist())
    if kind == "circle":
        (x, y), rim = exactly(points, 2, kind, where).tolist()
        radius = float(np.hypot(rim[0] - x, rim[1] - y))
        return Ellipse((x, y), (radius, radius))
    if kind in ("line", "linestrip"):
        return Line(points)
    if kind in ("point", "points"):
        return Dots(points)
    if kind == "mask":
        return mask_of(node, exactly(points, 2, kind, where), where)
    raise InputError(
        f"{where}: a shape of the type {kind!r}, expected polygon, rectangle, oriented_rectangle, "
        "circle, line, linestrip, point, points or mask."
    )


def exactly(points: np.ndarray, number: int, kind: str, where: str) -> np.ndarray:
    if len(points) != number:
        raise InputError(f"{where}: a {kind} of {len(points)} points, expected {number}.")
    return points


def mask_of(node: dict, corners: np.ndarray, where: str) -> Packed:
    """Pixels whose first one lies at the first corner; the bitmap's own size counts.

    LabelMe rounds the corner from version 7 on, and cut it to whole numbers before.
    """
    if not np.isfinite(corners).all():
        raise InputError(f"{where}: a mask at a place that is no number.")
    major = re.match(r"\d+", str(node.get("version") or ""))
    whole = np.trunc if major and int(major[0]) < 7 else np.rint
    left, top = map(int, whole(corners[0]).tolist())
    data = member(node, "mask", str, where)

    def unpack(_: Size) -> Bitmap:
        place = "its bitmap"
        return Bitmap(embedded.bitmap(embedded.from_base64(data, place), place), left, top)

    return Packed(unpack)
