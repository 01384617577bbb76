"""Supervisely: a project of meta.json and, for each data set, ann/NAME.json beside img/NAME.

Read as its SDK 6.74.51 writes it, in the pixels of the SDK, and drawn as that does: by OpenCV, over
whole numbers; holes of a polygon are cut out with their lines.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from flexunet_exp.data.annotations import embedded, raster
from flexunet_exp.data.annotations.checked_json import member, want
from flexunet_exp.data.annotations.formats.format import (
    Format,
    each,
    not_mentioned,
    points_of,
)
from flexunet_exp.data.annotations.formats.split_names import split_in
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Crop, Rings, Size, Tool
from flexunet_exp.data.annotations.records import Class, Export, Labelled, Marked
from flexunet_exp.data.annotations.shapes import (
    Bitmap,
    Dots,
    Line,
    Packed,
    Points,
    Polygon,
    Polygons,
    Shape,
    box,
)
from flexunet_exp.errors import InputError

PNG = b"\x89PNG"


def by_opencv_floor(rings: Rings, size: Size) -> Crop:
    """OpenCV's fillPoly over coordinates rounded down; lines are inside, of holes too."""
    return raster.by_opencv(tuple(np.floor(ring) for ring in rings), size)


def lines_by_opencv_floor(points: Points, width: float, size: Size) -> Crop:
    return raster.lines_by_opencv(np.floor(points), width, size)


TOOL = Tool("Supervisely", polygon=by_opencv_floor, line=lines_by_opencv_floor, line_width=1)


class Supervisely(Format):
    """A project. Data sets called train, val or test, if all are, give the splits."""

    title = "Supervisely"

    def recognises(self, place: Place) -> bool:
        return any(is_meta(place.json(path)) for path in metas(place))

    def read(self, place: Place) -> Export:
        files = [path for path in metas(place) if is_meta(place.json(path))]
        if not files:
            raise InputError(f"{place.given}: has no meta.json with the classes of a project.")
        known = {one.name: one for path in files for one in classes_of(place, path)}
        paths = [path for path in place.of_suffix(".json") if path.parent.name == "ann"]
        splits = {path.parent: split_in(path.parent.parent.name) for path in paths}
        is_split = all(splits.values())
        tags: set[str] = set()

        def read(path: Path) -> Labelled:
            split = splits[path.parent] if is_split else ""
            return picture_of(place, path, split, known, tags)

        pictures = [*each(paths, read)]
        pictures += not_mentioned(place, pictures)
        listed = ", ".join(sorted(tags))
        notes = [f"Tags are not read, as masks have no place for them: {listed}"] * bool(tags)
        return Export(
            TOOL, tuple(known.values()), tuple(pictures), (*files, *paths), notes=tuple(notes)
        )


def metas(place: Place) -> list[Path]:
    return [path for path in place.of_suffix(".json") if path.name == "meta.json"]


def is_meta(content: Any) -> bool:
    classes = content.get("classes") if isinstance(content, dict) else None
    return isinstance(classes, list) and all(
        isinstance(one, dict) and "title" in one and "shape" in one for one in classes
    )


def classes_of(place: Place, path: Path) -> list[Class]:
    shown = place.shown(path)
    return [
        Class(member(node, "title", str, f"{shown} classes[{index}]"), colour_of(node.get("color")))
        for index, node in enumerate(place.json(path)["classes"])
    ]


def colour_of(text: Any) -> tuple[int, int, int] | None:
    fit = re.fullmatch("#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})", str(text))
    return (int(fit[1], 16), int(fit[2], 16), int(fit[3], 16)) if fit else None


def picture_of(
    place: Place, path: Path, split: str, known: dict[str, Class], tags: set[str]
) -> Labelled:
    """The picture of one file; adds the names of all tags in it."""
    shown = place.shown(path)
    content = want(place.json(path), dict, shown)
    size = member(content, "size", dict, shown)
    folder = path.parent.parent / "img"
    file = place.pictures.find(path.stem, folder)
    nodes = member(content, "objects", list, shown)
    objects = tuple(each(enumerate(nodes), lambda pair: object_of(*pair, shown, known)))
    for node in [content, *nodes]:
        found = want(node.get("tags") or [], list, f"{shown} tags")
        tags.update(str(tag.get("name")) for tag in found if isinstance(tag, dict))
    return Labelled(
        place.shown(file) if file else path.stem,
        file,
        objects,
        (member(size, "height", int, f"{shown} size"), member(size, "width", int, f"{shown} size")),
        split=split,
        written_in=shown,
    )


def object_of(index: int, node: Any, shown: str, known: dict[str, Class]) -> Marked:
    place = f"objects[{index}]"
    where = f"{shown} {place}"
    want(node, dict, where)
    label = member(node, "classTitle", str, where)
    if label not in known:
        raise InputError(f"{where}: {label!r} is no class of meta.json: {', '.join(known)}.")
    return Marked(label, shape_of(node, where), place=place)


def shape_of(node: dict, where: str) -> Shape:
    kind = node.get("geometryType")
    if kind == "bitmap":
        return bitmap_of(member(node, "bitmap", dict, where), where)
    if kind == "multipolygon":
        parts = member(node, "parts", list, where)
        return Polygons(tuple(polygon_of(part, f"{where} parts") for part in parts))
    if kind not in ("polygon", "rectangle", "line", "point"):
        raise InputError(
            f"{where}: a {kind!r}, which is not read here, expected bitmap, polygon, multipolygon, "
            "rectangle, line or point. Convert it in Supervisely."
        )
    rings = member(node, "points", dict, where)
    if kind == "polygon":
        return polygon_of(rings, f"{where} points")
    points = points_of(rings.get("exterior"), f"{where} points exterior")
    if kind == "line":
        return Line(points)
    if kind == "point":
        return Dots(np.floor(points))
    if len(points) != 2:
        raise InputError(f"{where}: a rectangle of {len(points)} points, expected 2.")
    return box(*points.ravel().tolist())


def polygon_of(rings: Any, where: str) -> Polygon:
    want(rings, dict, where)
    outline = points_of(rings.get("exterior"), f"{where} exterior")
    if len(outline) < 3:
        raise InputError(f"{where}: a polygon of {len(outline)} points, expected three or more.")
    holes = want(rings.get("interior") or [], list, f"{where} interior")
    return Polygon(outline, tuple(points_of(hole, f"{where} interior") for hole in holes))


def bitmap_of(node: dict, where: str) -> Packed:
    """Base64 of a PNG, packed by zlib or not, whose first pixel lies at `origin`: [x, y]."""
    data = member(node, "data", str, f"{where} bitmap")
    origin = points_of([node.get("origin")], f"{where} bitmap origin")
    if not np.isfinite(origin).all():
        raise InputError(f"{where}: a bitmap at a place that is no number.")
    left, top = (int(value) for value in np.floor(origin[0]))

    def unpack(_: Size) -> Bitmap:
        place = "its bitmap"
        packed = embedded.from_base64(data, place)
        picture = packed if packed.startswith(PNG) else embedded.inflated(packed, place)
        return Bitmap(embedded.bitmap(picture, place), left, top)

    return Packed(unpack)
