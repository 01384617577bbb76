"""The pixels of one object, or why it has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from flexunet_exp.data.annotations.drawn import Drawn
from flexunet_exp.data.annotations.extent import area_of, is_cut, is_outside, points_of
from flexunet_exp.data.annotations.raster import Crop, Size, Tool
from flexunet_exp.data.annotations.records import Labelled, Marked
from flexunet_exp.data.annotations.rules import Rules
from flexunet_exp.data.annotations.shapes import BoxOnly, Dots, Ellipse, Line, Packed, box
from flexunet_exp.errors import InputError


def unpacked(picture: Labelled, size: Size, result: Drawn) -> Iterator[tuple[Marked, Marked]]:
    """The objects from below to the top, as they are and with the shape that is drawn."""
    for one in sorted(picture.objects, key=lambda one: one.order):
        seen = one
        if isinstance(one.shape, Packed):
            try:
                seen = replace(one, shape=one.shape.unpack(size))
            except InputError as error:
                result.problems.append(f"{place(picture, one)}: {one.label}: {error}")
                continue
        yield one, seen


def is_ignored(one: Marked, rules: Rules) -> bool:
    is_box = isinstance(one.shape, BoxOnly)
    return (one.crowd and rules.crowd == "ignore") or (is_box and rules.boxes == "ignore")


def crop_of(
    one: Marked, value: int, size: Size, tool: Tool, rules: Rules, result: Drawn, where: str
) -> Crop | None:
    """The pixels of an object; None, with a problem or a loss, where it has none."""
    if problem := unusable(one, tool, rules):
        result.problems.append(f"{where}: {problem}")
        return None
    shape = one.shape
    if isinstance(shape, BoxOnly):
        shape = box(*shape.corners)
    try:
        crop = tool.draw(shape, size)
    except InputError as error:
        result.problems.append(f"{where}: {one.label}: {error}")
        return None
    pixels = int(np.count_nonzero(crop.pixels))
    if not pixels:
        lies = "outside of the picture" if is_outside(shape, size) else "thinner than a pixel"
        result.losses.append(f"{where}: {one.label} has no pixel: it lies {lies}")
        return None
    if is_cut(shape, size):
        result.losses.append(f"{where}: {one.label} is cut off at the edge of the picture")
    elif (area := area_of(shape)) is not None:
        result.area += area
        result.area_drawn += pixels
    return crop


def unusable(one: Marked, tool: Tool, rules: Rules) -> str:
    """Why an object cannot be drawn; empty where it can."""
    if isinstance(one.shape, BoxOnly) and rules.boxes == "error":
        return (
            f"{one.label} is a box, and a mask is wanted. Give boxes=fill to take all its pixels, "
            "or boxes=ignore to leave them out of training and scores"
        )
    if isinstance(one.shape, Line) and not tool.line_width:
        return f"{one.label} is a line, which {tool.name} gives no width. Give line_width=3"
    if isinstance(one.shape, Dots) and not tool.point_radius:
        return f"{one.label} is a point, which {tool.name} gives no area. Give point_radius=5"
    points = points_of(one.shape)
    if points is not None and not np.isfinite(points).all():
        return f"{one.label} has coordinates that are no numbers. Correct the file"
    if isinstance(one.shape, Ellipse) and min(one.shape.radii) < 0:
        rx, ry = one.shape.radii
        return f"{one.label} has the radii {rx:g} and {ry:g}, expected 0 or more. Correct the file"
    return ""


def place(picture: Labelled, one: Marked) -> str:
    """Where an object is written: `a.json shapes[3]`."""
    return f"{picture.written_in or picture.name} {one.place}".strip()
