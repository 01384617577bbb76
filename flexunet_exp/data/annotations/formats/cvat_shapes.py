"""The shapes of CVAT's XML."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element

import cv2
import numpy as np

from flexunet_exp.data.annotations import raster
from flexunet_exp.data.annotations.checked_json import number
from flexunet_exp.data.annotations.raster import Crop, Size
from flexunet_exp.data.annotations.shapes import (
    Bitmap,
    BoxOnly,
    Dots,
    Ellipse,
    Line,
    Packed,
    Points,
    Polygon,
    Shape,
    turned_box,
)
from flexunet_exp.data.image_files import MAX_PIXELS
from flexunet_exp.errors import InputError


def ellipse_of_cvat(ellipse: Ellipse, size: Size) -> Crop:
    """OpenCV's filled ellipse, whose centre and radii CVAT rounds to whole numbers."""
    far = int(raster.FAR)
    x, y = (max(-far, min(far, round(value))) for value in ellipse.centre)
    rx, ry = (min(far, round(value)) for value in ellipse.radii)
    reach = max(rx, ry) + 1
    corners = np.array([(x - reach, y - reach), (x + reach, y + reach)], float)
    _, top, left, frame = raster.framed([corners], size)
    canvas = np.zeros(frame, np.uint8)
    cv2.ellipse(canvas, (x - left, y - top), (rx, ry), ellipse.degrees, 0, 360, 1, thickness=-1)
    return raster.within(canvas.astype(bool), top, left, size)


def numbers_of(element: Element, keys: list[str], where: str) -> list[float]:
    missing = [key for key in keys if key not in element.attrib]
    if missing:
        raise InputError(f"{where}: has no {', '.join(missing)}.")
    return [number(element.attrib[key], f"{where} {key}") for key in keys]


def points_of(element: Element, where: str) -> Points:
    """Points (N, 2) of `x,y;x,y`."""
    pairs = [pair.split(",") for pair in element.get("points", "").split(";")]
    if any(len(pair) != 2 for pair in pairs):
        raise InputError(f"{where}: expected points 'x,y;x,y…'.")
    return np.array([[number(value, f"{where} points") for value in pair] for pair in pairs])


def polygon_of(element: Element, where: str) -> Shape:
    points = points_of(element, where)
    if len(points) < 3:
        raise InputError(f"{where}: a polygon of {len(points)} points, expected three or more.")
    return Polygon(points)


def box_of(element: Element, where: str) -> Shape:
    """A box, turned clockwise about its centre; CVAT rounds the corners to hundredths."""
    left, top, right, bottom = numbers_of(element, ["xtl", "ytl", "xbr", "ybr"], where)
    degrees = number(element.get("rotation", 0), f"{where} rotation")
    centre = (left + right) / 2, (top + bottom) / 2
    return Polygon(turned_box(centre, right - left, bottom - top, degrees).points.round(2))


def ellipse_of(element: Element, where: str) -> Shape:
    x, y, rx, ry = numbers_of(element, ["cx", "cy", "rx", "ry"], where)
    return Ellipse((x, y), (rx, ry), number(element.get("rotation", 0), f"{where} rotation"))


def mask_of(element: Element, where: str) -> Shape:
    """Run lengths by rows, zeros first, within a box of whole numbers."""
    left, top, width, height = map(
        int, numbers_of(element, ["left", "top", "width", "height"], where)
    )
    if min(width, height) < 1 or width * height > MAX_PIXELS:
        raise InputError(f"{where}: a mask of {width} × {height} pixels.")
    text = element.get("rle", "")

    def unpack(_: Size) -> Bitmap:
        return Bitmap(unpacked(text, width * height).reshape(height, width), left, top)

    return Packed(unpack)


def unpacked(text: str, pixels: int) -> np.ndarray:
    try:
        counts = np.array(text.split(","), np.int64)
    except (ValueError, OverflowError):
        raise InputError("its rle are no whole numbers: export it again") from None
    # Each is checked by itself, as a sum of giant ones could wrap around to the right one.
    if counts.min() < 0 or counts.max() > pixels or counts.sum() != pixels:
        raise InputError(
            f"its rle are of {counts.sum():,} pixels, its width and height of {pixels:,}: export "
            "it again"
        )
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts)


def skeleton_of(element: Element, where: str) -> Shape:
    """The points of a skeleton that are in the picture."""
    shown = [point for point in element.findall("points") if point.get("outside") != "1"]
    if not shown:
        raise InputError(f"{where}: a skeleton without points in the picture. Delete it.")
    return Dots(np.concatenate([points_of(point, where) for point in shown]))


def cuboid_of(element: Element, where: str) -> Shape:
    """The box around a cuboid: nobody marked the pixels of what it holds."""
    corners = [f"{corner}{side}" for side in (1, 2) for corner in ("tl", "bl", "tr", "br")]
    xs = numbers_of(element, [f"x{corner}" for corner in corners], where)
    ys = numbers_of(element, [f"y{corner}" for corner in corners], where)
    return BoxOnly((min(xs), min(ys), max(xs), max(ys)))


SHAPES: dict[str, Callable[[Element, str], Shape]] = {
    "polygon": polygon_of,
    "polyline": lambda element, where: Line(points_of(element, where)),
    "points": lambda element, where: Dots(points_of(element, where)),
    "box": box_of,
    "ellipse": ellipse_of,
    "mask": mask_of,
    "skeleton": skeleton_of,
    "cuboid": cuboid_of,
}
