"""The regions of a Label Studio task: percent of the picture become pixels, brushes bit streams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from flexunet_exp.data.annotations.checked_json import member, number, want
from flexunet_exp.data.annotations.formats.format import each, points_of
from flexunet_exp.data.annotations.records import Marked
from flexunet_exp.data.annotations.shapes import Bitmap, Dots, Ellipse, Packed, Polygon, Shape
from flexunet_exp.data.image_files import MAX_PIXELS
from flexunet_exp.errors import InputError

NO_REGIONS = ("choices", "taxonomy", "textarea", "number", "rating", "datetime", "relation",
              "pairwise", "ranker")  # fmt: skip
HEADER = 32 + 5 + 4 * 4  # bits of a brush before its runs
CHANNELS = 4  # red, green, blue, alpha


class Regions(NamedTuple):
    """The objects of an annotation, the size (height, width) that it gives the picture, and how
    many results of each kind are no regions."""

    objects: tuple[Marked, ...]
    size: tuple[int, int] | None
    others: Counter[str]


def regions_of(results: list, where: str) -> Regions:
    """Raises InputError with all problems of the results."""
    others: Counter[str] = Counter()
    found: dict[str, list[tuple[str, dict]]] = {}
    for index, result in enumerate(results):
        place = f"result[{index}]"
        kind = want(result, dict, f"{where} {place}").get("type")
        if kind in NO_REGIONS:
            others[kind] += 1
        else:  # a shape and its label may be two results of one id
            found.setdefault(str(result.get("id", place)), []).append((place, result))
    objects = tuple(each(found.values(), lambda parts: region_of(parts, where)))
    sizes = {size_of(result, f"{where} {place}") for parts in found.values()
             for place, result in parts}  # fmt: skip
    if len(sizes) > 1:
        raise InputError(f"{where}: its regions are of pictures of several sizes: {sorted(sizes)}.")
    return Regions(objects, sizes.pop() if sizes else None, others)


def size_of(result: dict, where: str) -> tuple[int, int]:
    height, width = (member(result, f"original_{side}", int, where) for side in ("height", "width"))
    if not (height > 0 and width > 0 and height * width <= MAX_PIXELS):
        raise InputError(f"{where}: a picture of {width} × {height} pixels.")
    return height, width


def region_of(parts: list[tuple[str, dict]], where: str) -> Marked:
    """An object of results of one id."""
    place = parts[0][0]
    where = f"{where} {place}"
    labels: dict[str, None] = {}
    shapes = []
    for _, result in parts:
        value = member(result, "value", dict, where)
        labels |= dict.fromkeys(labels_of(value, where))
        if turned := result.get("image_rotation") or result.get("item_index"):
            raise InputError(
                f"{where}: image_rotation or item_index is {turned}, expected 0: it was marked on "
                "a turned picture, or on one of several. Turn it back in Label Studio"
            )
        shapes.append(shape_of(value, size_of(result, where), where))
    if len(labels) != 1:
        listed = ", ".join(labels) or "none"
        raise InputError(f"{where}: expected a region of one label, found {listed}.")
    return Marked(next(iter(labels)), shapes[0], place=place)


def labels_of(value: dict, where: str) -> Iterator[str]:
    """The labels under `polygonlabels`, `brushlabels`, `labels` …"""
    for key in value:
        if key.endswith("labels"):
            yield from (want(label, str, where) for label in member(value, key, list, where))


def shape_of(value: dict, size: tuple[int, int], where: str) -> Shape:
    """By the members of a value: JSON-MIN does not say its type."""
    height, width = size
    scale = np.array([width, height]) / 100
    if "rle" in value:
        return brush_of(member(value, "rle", list, where), size, where)
    if "points" in value:
        return Polygon(points_of(value["points"], f"{where} points") * scale)
    if not {"x", "y"} <= value.keys():
        raise InputError(
            f"{where}: found {', '.join(value)}; expected a polygon, a rectangle, an ellipse, a "
            "brush or a keypoint."
        )
    names = ("x", "y", "width", "height", "radiusX", "radiusY", "rotation")
    x, y, *sides, rx, ry, turn = (number(value.get(name) or 0, f"{where} {name}") for name in names)
    start = np.array([x, y]) * scale
    if "radiusX" in value:
        rx, ry = (np.array([rx, ry]) * scale).tolist()
        return Ellipse((float(start[0]), float(start[1])), (rx, ry), turn)
    if "height" in value:
        return rectangle_of(start, np.array(sides) * scale, turn)
    return Dots(start[None])


def rectangle_of(start: np.ndarray, sides: np.ndarray, degrees: float) -> Polygon:
    """A rectangle turned clockwise about its top left corner."""
    angle = np.deg2rad(degrees)
    along = np.array([np.cos(angle), np.sin(angle)]) * sides[0]
    down = np.array([-np.sin(angle), np.cos(angle)]) * sides[1]
    return Polygon(np.array([start, start + along, start + along + down, start + down]))


def brush_of(data: list, size: tuple[int, int], where: str) -> Packed:
    try:
        stream = np.array(data, np.uint8) if all(type(one) is int for one in data) else None
    except (OverflowError, ValueError):
        stream = None
    if stream is None:
        raise InputError(f"{where}: a brush that is not made of bytes. Export it again")
    return Packed(lambda _: painted(stream, size))


def painted(stream: np.ndarray, size: tuple[int, int]) -> Bitmap:
    """The pixels whose alpha is above 0; InputError where the stream is damaged or of another size.

    Bits: 32 for the number of values, 5 for their bits less 1, four times 4 for the bits, less 1,
    of run lengths; then runs. A run is a bit that says whether it repeats one value, 2 bits that
    choose a width, its length less 1 of that width, and its value or values.
    """
    values = unpacked(np.unpackbits(stream), CHANNELS * size[0] * size[1])
    return Bitmap(values.reshape(*size, CHANNELS)[..., -1] > 0)


def unpacked(bits: np.ndarray, expected: int) -> np.ndarray:
    header = bits[:HEADER]
    if len(header) < HEADER:
        raise InputError("a brush of too few bytes: export it again")
    if (count := whole(header[:32])) != expected:
        raise InputError(f"a brush of {count:,} values, expected {expected:,}: export it again")
    if whole(header[32:37]) != 7:
        raise InputError("a brush whose values are not of 8 bits: export it again")
    widths = [whole(header[start : start + 4]) + 1 for start in range(37, HEADER, 4)]
    values = np.zeros(count, np.uint8)
    at, done = HEADER, 0
    while done < count:
        width = widths[whole(bits[at + 1 : at + 3])]
        length = whole(bits[at + 3 : at + 3 + width]) + 1
        start = at + 3 + width
        stop = start + (8 if at < len(bits) and bits[at] else 8 * length)
        if stop > len(bits) or done + length > count:
            raise InputError("a brush that is cut off: export it again")
        values[done : done + length] = np.packbits(bits[start:stop])
        at, done = stop, done + length
    return values


def whole(bits: np.ndarray) -> int:
    """Bits, the highest first, as a number."""
    return int.from_bytes(np.packbits(bits).tobytes(), "big") >> (-len(bits) % 8)
