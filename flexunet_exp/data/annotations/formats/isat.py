"""ISAT: a JSON beside each picture, drawn by scikit-image in the order of its layers.

Read as ISAT 1.5.2 writes it; coordinates are cut to whole numbers. `isat.yaml`, where there is one,
gives the order and the colours of the classes.
"""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from flexunet_exp.data.annotations.checked_json import member, number, read_text, want
from flexunet_exp.data.annotations.formats.format import Format, each, not_mentioned, points_of
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Crop, Rings, Size, Tool, by_centre, union
from flexunet_exp.data.annotations.records import BACKGROUND, Class, Export, Labelled, Marked
from flexunet_exp.data.annotations.shapes import Polygon
from flexunet_exp.errors import InputError

FIRST = 20  # files that are looked at to recognise the format
LAYER = 2.0  # of an object that has none
SPECIAL = {"__background__": BACKGROUND}


def by_skimage(rings: Rings, size: Size) -> Crop:
    """scikit-image's polygon over coordinates cut to whole numbers, which are middles of pixels.

    A pixel is inside where the lines to its left, or those to its right, are odd in number, or
    where a corner lies on it: so are those on the outline. Turned by half a turn, left is right.
    """
    (ring,) = [np.trunc(one) for one in rings]
    height, width = size
    left = by_centre((ring + 0.5,), size)
    turned = by_centre(((width - 0.5, height - 0.5) - ring,), size)
    rows, columns = turned.pixels.shape
    right = Crop(turned.pixels[::-1, ::-1], height - turned.top - rows,
                 width - turned.left - columns)  # fmt: skip
    is_within = ((ring >= 0) & (ring < (width, height))).all(axis=1)
    corners = ring[is_within].astype(int).tolist()
    return union([left, right, *(Crop(np.ones((1, 1), bool), y, x) for x, y in corners)])


TOOL = Tool("ISAT", polygon=by_skimage)


class Isat(Format):
    """A folder of ISAT's files."""

    title = "ISAT"

    def recognises(self, place: Place) -> bool:
        return any(is_isat(place.json(path)) for path in islice(place.of_suffix(".json"), FIRST))

    def read(self, place: Place) -> Export:
        found = [*each(place.of_suffix(".json"), lambda path: (path, picture_of(place, path)))]
        pictures = [one for _, one in found if one]
        others = [place.shown(path) for path, one in found if one is None]
        if place.given.is_dir():
            pictures += not_mentioned(place, pictures)
        return Export(
            TOOL,
            classes_of(pictures, listed(place.root / "isat.yaml")),
            tuple(pictures),
            tuple(path for path, one in found if one),
            notes=[f"{len(others)} JSON files are not ISAT's, such as {one}" for one in others[:1]],
        )


def is_isat(content: Any) -> bool:
    info = content.get("info") if isinstance(content, dict) else None
    return isinstance(info, dict) and info.get("description") == "ISAT" and "objects" in content


def picture_of(place: Place, path: Path) -> Labelled | None:
    """The picture of one file; None where it is not ISAT's."""
    content, shown = place.json(path), place.shown(path)
    if not is_isat(content):
        return None
    info, where = content["info"], f"{shown} info"
    name = member(info, "name", str, where)
    file = place.pictures.find(name, path.parent)
    nodes = member(content, "objects", list, shown)
    return Labelled(
        place.shown(file) if file else name,
        file,
        tuple(each(enumerate(nodes), lambda pair: object_of(*pair, shown))),
        (member(info, "height", int, where), member(info, "width", int, where)),
        written_in=shown,
    )


def object_of(index: int, node: Any, shown: str) -> Marked:
    place = f"objects[{index}]"
    where = f"{shown} {place}"
    want(node, dict, where)
    label = member(node, "category", str, where)
    points = points_of(node.get("segmentation"), f"{where} segmentation")
    if len(points) < 3:
        raise InputError(f"{where}: a polygon of {len(points)} points, expected three or more.")
    layer = number(node.get("layer", LAYER), f"{where} layer")
    is_crowd = bool(node.get("iscrowd"))
    return Marked(SPECIAL.get(label, label), Polygon(points), layer, is_crowd, place)


def listed(path: Path) -> list[Class]:
    """The classes of isat.yaml; none without the file."""
    if not path.is_file():
        return []
    try:
        nodes = yaml.safe_load(read_text(path))["label"]
        return [Class(str(node["name"]), colour_of(str(node.get("color", "")))) for node in nodes]
    except (yaml.YAMLError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: expected ISAT's classes, as in label: [{{name: scratch, color: '#ef2929'}}]."
        ) from error


def colour_of(text: str) -> tuple[int, int, int] | None:
    fit = re.fullmatch("#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})", text)
    return (int(fit[1], 16), int(fit[2], 16), int(fit[3], 16)) if fit else None


def classes_of(pictures: list[Labelled], order: list[Class]) -> tuple[Class, ...]:
    """The classes that are listed, in that order, then the other labels in use by name."""
    used = {marked.label for one in pictures for marked in one.objects}
    known = [one for one in order if one.name not in (*SPECIAL, BACKGROUND)]
    others = used - {one.name for one in known} - {BACKGROUND}
    return (*known, *map(Class, sorted(others)))
