"""VGG Image Annotator 2: a project, or annotations as JSON or CSV.

Read as VIA 2.0.12 writes them. A region's label is one of its attributes, of any name. VIA draws on
a canvas alone, so that it has no masks of its own: whole numbers are corners of pixels.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import numpy as np

from flexunet_exp.data.annotations import raster
from flexunet_exp.data.annotations.checked_json import member, number
from flexunet_exp.data.annotations.formats.format import Format, each, not_mentioned
from flexunet_exp.data.annotations.formats.via_files import (
    Photo,
    Region,
    is_via,
    is_via_csv,
    options_of,
    photos_of,
)
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import Class, Export, Labelled, Marked
from flexunet_exp.data.annotations.shapes import Dots, Ellipse, Line, Polygon, Shape, box
from flexunet_exp.errors import InputError, did_you_mean

TOOL = Tool("VIA", polygon=raster.by_centre, line=raster.lines_exactly)
FIRST = 20  # files that are looked at to recognise the format


class Via(Format):
    """VIA's files. `attribute` names the region attribute that is the label; None: the only one."""

    title = "VIA (VGG Image Annotator 2)"

    def __init__(self, attribute: str | None = None):
        self.attribute = attribute

    def recognises(self, place: Place) -> bool:
        return any(map(is_via_csv, islice(place.of_suffix(".csv"), FIRST))) or any(
            is_via(place.json(path)) for path in islice(place.of_suffix(".json"), FIRST)
        )

    def read(self, place: Place) -> Export:
        files = [p for p in place.of_suffix(".json") if is_via(place.json(p))]
        files = files or [p for p in place.of_suffix(".csv") if is_via_csv(p)]
        photos = [photo for found in each(files, lambda path: photos_of(place, path))
                  for photo in found]  # fmt: skip
        attribute = self.attribute_of(photos, place)
        pictures = [*each(photos, lambda photo: picture_of(place, photo, attribute))]
        pictures += not_mentioned(place, pictures)
        used = {marked.label for one in pictures for marked in one.objects}
        order = [name for path in files for name in options_of(place, path, attribute)]
        names = [*dict.fromkeys(name for name in order if name in used)]
        names += sorted(used - {*names})
        return Export(TOOL, tuple(map(Class, names)), tuple(pictures), tuple(files))

    def attribute_of(self, photos: list[Photo], place: Place) -> str:
        """The attribute that is the label; InputError where it must be chosen."""
        counts = Counter(key for one in photos for region in one.regions
                         for key, value in region.attributes.items() if value)  # fmt: skip
        listed = ", ".join(f"{key} (of {number} regions)" for key, number in counts.most_common())
        ask = (
            "Copy conf/annotations/via.yaml into your own conf/annotations and set its "
            "attribute: to the one that is the label"
        )
        if self.attribute is not None:
            if self.attribute not in counts and any(one.regions for one in photos):
                near = did_you_mean(self.attribute, counts)
                raise InputError(
                    f"{place.given}: no region has the attribute {self.attribute!r}.{near} There "
                    f"are: {listed or 'none'}"
                )
            return self.attribute
        if len(counts) > 1:
            raise InputError(f"{place.given}: regions have several attributes: {listed}. {ask}.")
        if not counts and any(one.regions for one in photos):
            raise InputError(f"{place.given}: no region has an attribute, which is its label.")
        return next(iter(counts), "")


def picture_of(place: Place, photo: Photo, attribute: str) -> Labelled:
    file = place.pictures.find(photo.name, photo.path.parent)
    objects = each(photo.regions, lambda region: object_of(region, attribute))
    return Labelled(
        place.shown(file) if file else photo.name,
        file,
        tuple(objects),
        done=bool(photo.regions),  # it lists every picture that was opened
        written_in=place.shown(photo.path),
    )


def object_of(region: Region, attribute: str) -> Marked:
    value = region.attributes.get(attribute)
    if isinstance(value, dict):  # a checkbox: {option: true}
        chosen = [key for key, is_set in value.items() if is_set]
        value = chosen[0] if len(chosen) == 1 else chosen
    if not isinstance(value, str) or not value.strip():
        shown = f"{value!r:.60}" if value else "nothing"
        raise InputError(f"{region.place}: its {attribute} is {shown}, expected one label.")
    return Marked(value.strip(), shape_of(region.shape, region.place), place=region.place)


def shape_of(node: dict, where: str) -> Shape:
    kind = node.get("name")

    def value(key: str, otherwise: Any = None) -> float:
        return number(node.get(key, otherwise), f"{where} {key}")

    if kind == "polygon":
        points = points_of(node, where)
        if len(points) < 3:
            raise InputError(f"{where}: a polygon of {len(points)} points, expected three or more.")
        return Polygon(points)
    if kind == "polyline":
        return Line(points_of(node, where))
    if kind == "rect":
        left, top = value("x"), value("y")
        return box(left, top, left + value("width"), top + value("height"))
    if kind == "circle":
        return Ellipse((value("cx"), value("cy")), (value("r"), value("r")))
    if kind == "ellipse":
        turn = float(np.rad2deg(value("theta", 0)))  # older files have none
        return Ellipse((value("cx"), value("cy")), (value("rx"), value("ry")), turn)
    if kind == "point":
        return Dots(np.array([(value("cx"), value("cy"))]))
    raise InputError(
        f"{where}: a region of the shape {kind!r}, expected polygon, polyline, rect, circle, "
        "ellipse or point."
    )


def points_of(node: dict, where: str) -> np.ndarray:
    sides = [
        [number(value, f"{where} {key}") for value in member(node, key, list, where)]
        for key in ("all_points_x", "all_points_y")
    ]
    if len(sides[0]) != len(sides[1]) or not sides[0]:
        raise InputError(
            f"{where}: {len(sides[0])} all_points_x and {len(sides[1])} all_points_y, expected as "
            "many of both."
        )
    return np.array(sides).T
