"""LabelMe: a JSON beside each picture, drawn by Pillow.

Read as LabelMe 6.3.1 and 7.9.1 write it. Coordinates are those of the upright picture, cut to whole
numbers; later shapes lie on top; a line is 10 pixels wide, a point a disc of radius 5.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from flexunet_exp.data.annotations import raster
from flexunet_exp.data.annotations.formats.format import Format, each, points_of
from flexunet_exp.data.annotations.place import Place, member, want
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import (
    BACKGROUND,
    IGNORED,
    Class,
    Export,
    Labelled,
    Marked,
)
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

TOOL = Tool(
    "LabelMe",
    polygon=raster.by_pillow,
    line=raster.lines_by_pillow,
    ellipse=raster.ellipse_by_pillow,
    line_width=10,
    point_radius=5,
)
SPECIAL = {"_background_": BACKGROUND, "__ignore__": IGNORED}  # of its own converters


class LabelMe(Format):
    """A folder of LabelMe's files; `labels.txt`, where there is one, gives the order of classes."""

    title = "LabelMe"

    def recognises(self, place: Place) -> bool:
        return any(is_labelme(place.json(path)) for path in place.of_suffix(".json")[:3])

    def read(self, place: Place) -> Export:
        files = [p for p in place.of_suffix(".json") if is_labelme(place.json(p))]
        pictures = [*each(files, lambda path: picture_of(place, path, shapes_of))]
        found = {one.file for one in pictures}
        pictures += [
            Labelled(place.shown(path), path, done=False)
            for path in place.pictures.all
            if path not in found
        ]
        return Export(TOOL, classes_of(pictures, listed(place)), tuple(pictures), tuple(files))


def is_labelme(content: Any) -> bool:
    return isinstance(content, dict) and "shapes" in content and "imagePath" in content


def picture_of(
    place: Place, path: Path, read: Callable[[dict, str], tuple[Marked, ...]]
) -> Labelled:
    """The picture of one file, with the objects that `read` finds in its content."""
    shown = place.shown(path)
    content = place.json(path)
    name = member(content, "imagePath", str, shown)
    file = place.pictures.find(name, path.parent)
    data = content.get("imageData")
    height, width = content.get("imageHeight"), content.get("imageWidth")
    size = None
    if height is not None and width is not None:
        size = want(height, int, f"{shown} imageHeight"), want(width, int, f"{shown} imageWidth")
    return Labelled(
        name=place.shown(file) if file else re.split(r"[\\/]", name)[-1],
        file=file,
        objects=read(content, shown),
        size=size,
        content=(lambda: unpacked(data, shown)) if data and file is None else None,
        written_in=shown,
    )


def shapes_of(content: dict, shown: str) -> tuple[Marked, ...]:
    shapes = member(content, "shapes", list, shown)
    read = each(enumerate(shapes), lambda pair: object_of(pair[1], shown, f"shapes[{pair[0]}]"))
    return tuple(read)


def object_of(node: Any, shown: str, place: str) -> Marked:
    where = f"{shown} {place}"
    want(node, dict, where)
    label = member(node, "label", str, where)
    return Marked(SPECIAL.get(label, label), shape_of(node, where), place=place)


def shape_of(node: dict, where: str) -> Shape:
    kind = node.get("shape_type") or "polygon"
    points = points_of(node.get("points"), f"{where} points")
    if kind == "polygon":
        if len(points) < 3:
            raise InputError(f"{where}: a polygon of {len(points)} points, expected three or more.")
        return Polygon(points)
    if kind in ("oriented_rectangle", "rotation"):
        return Polygon(exactly(points, 4, kind, where))
    if kind == "rectangle":
        if len(points) == 4:  # X-AnyLabeling keeps all corners
            return Polygon(points)
        return box(*exactly(points, 2, kind, where).ravel().tolist())
    if kind == "circle":
        (x, y), rim = exactly(points, 2, kind, where)
        radius = float(np.hypot(*(rim - (x, y))))
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
    """Pixels whose first one lies at the first corner; the bitmap's own size counts."""
    if not np.isfinite(corners).all():
        raise InputError(f"{where}: a mask at a place that is no number.")
    left, top = np.rint(corners[0]).astype(int).tolist()
    data = member(node, "mask", str, where)

    def unpack() -> Bitmap:
        picture = cv2.imdecode(np.frombuffer(unpacked(data, where), np.uint8), cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise InputError("its bitmap is no readable picture")
        return Bitmap((picture if picture.ndim == 2 else picture[..., 0]) > 0, left, top)

    return Packed(unpack)


def unpacked(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{where}: data that is not base64.") from error


def listed(place: Place) -> list[str]:
    """The labels of `labels.txt` in its order; none without the file."""
    path = place.root / "labels.txt"
    if not path.is_file():
        return []
    lines = path.read_text("utf-8-sig").splitlines()
    return [SPECIAL.get(line.strip(), line.strip()) for line in lines if line.strip()]


def classes_of(pictures: list[Labelled], order: list[str]) -> tuple[Class, ...]:
    """The labels in use: those that are listed first, in that order, then the others by name."""
    used = {marked.label for one in pictures for marked in one.objects}
    names = [name for name in order if name not in (BACKGROUND, IGNORED)]
    names += sorted(used - {*names, BACKGROUND, IGNORED})
    return tuple(map(Class, names))
