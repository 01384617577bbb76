"""A picture's objects as one mask of classes, and what drawing them lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from flexunet_exp.data.annotations.classes import Classes
from flexunet_exp.data.annotations.extent import area_of, is_cut, is_outside, points_of
from flexunet_exp.data.annotations.raster import Crop, Size, Tool
from flexunet_exp.data.annotations.records import Labelled, Marked
from flexunet_exp.data.annotations.shapes import BoxOnly, Dots, Ellipse, Line, box
from flexunet_exp.data.masks.mask_rules import IGNORE
from flexunet_exp.errors import InputError

RASTERS = ("tool", "centre", "cover")
OVERLAPS = ("top", "small_over_large", "error")
ANNOTATORS = ("first", "last", "agree")
CROWDS = ("keep", "ignore")
BOXES = ("error", "fill", "ignore")


@dataclass(frozen=True)
class Rules:
    """The options of drawing; None of a width or radius is the tool's own."""

    raster: str = "tool"
    overlap: str = "top"
    line_width: float | None = None
    point_radius: float | None = None
    crowd: str = "keep"
    boxes: str = "error"
    annotator: str | None = None

    def tool(self, own: Tool) -> Tool:
        """The tool's rules as these options change them."""
        return replace(
            own.by(self.raster),
            line_width=self.line_width or own.line_width,
            point_radius=self.point_radius or own.point_radius,
        )


@dataclass
class Drawn:
    """A mask uint8 (H, W), and what became of the objects.

    `objects` and `pixels` count by class name; `area` is that of the polygons by their
    coordinates, `area_drawn` their pixels before others covered them. `problems` stop the import;
    `losses` are objects that are seen in the mask in part or not at all.
    """

    mask: np.ndarray
    objects: dict[str, int] = field(default_factory=dict)
    area: float = 0.0
    area_drawn: int = 0
    problems: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)


def drawn(picture: Labelled, size: Size, tool: Tool, classes: Classes, rules: Rules) -> Drawn:
    """Draws a picture's objects, or reads its masks; `size` is that of its upright pixels."""
    layers = list(of_annotators(picture, rules))
    results = [one_layer(replace(picture, objects=objects), size, tool, classes, rules)
               for objects in layers]  # fmt: skip
    first, *others = results
    for other in others:
        first.mask[other.mask != first.mask] = IGNORE
        first.problems += other.problems
        first.losses += other.losses
    return first


def check_size(picture: Labelled, size: Size) -> None:
    """Raises InputError where the annotations are of another size than the picture."""
    if picture.size in (None, size):
        return
    height, width = picture.size or (0, 0)
    raise InputError(
        f"{picture.name} is {size[1]} × {size[0]} pixels, its annotations say {width} × {height}: "
        "they are of another picture, or it was resized or turned since"
    )


def check_drawn(result: Drawn) -> None:
    """Raises InputError with the problems of a mask, if it has any."""
    if result.problems:
        raise InputError(result.problems)


def of_annotators(picture: Labelled, rules: Rules) -> Iterator[tuple[Marked, ...]]:
    """The objects that count: those of one annotator, or of each where they must agree."""
    if not picture.by:
        yield picture.objects
    elif rules.annotator == "agree":
        yield from picture.by.values()
    else:
        yield list(picture.by.values())[-1 if rules.annotator == "last" else 0]


def one_layer(picture: Labelled, size: Size, tool: Tool, classes: Classes, rules: Rules) -> Drawn:
    """The mask of one annotator's objects, over those masks that are pictures already."""
    result = Drawn(np.zeros(size, np.uint8))
    for stored in picture.masks:
        read_stored(stored, result, classes)
    crops = []
    for one in sorted(picture.objects, key=lambda one: one.order):
        value = IGNORE if is_ignored(one, rules) else classes.value_of(one.label)
        crop = crop_of(one, value, size, tool, rules, result, place(picture, one))
        if crop is not None:
            result.objects[one.label] = result.objects.get(one.label, 0) + 1
            crops.append((one, value, crop))
    if rules.overlap == "small_over_large":
        crops.sort(key=lambda each: -np.count_nonzero(each[2].pixels))
    for one, value, crop in crops:
        under = result.mask[crop.place]
        if rules.overlap == "error" and (under[crop.pixels] % 255 != 0).any():
            others = np.unique(under[crop.pixels])
            if set(others.tolist()) - {0, IGNORE, value}:
                result.problems.append(
                    f"{place(picture, one)}: {one.label} covers an object of another class. Give "
                    "overlap=top or overlap=small_over_large, or correct the objects"
                )
        under[crop.pixels] = value
    hidden(picture, crops, result)
    return result


def is_ignored(one: Marked, rules: Rules) -> bool:
    is_box = isinstance(one.shape, BoxOnly)
    return (one.crowd and rules.crowd == "ignore") or (is_box and rules.boxes == "ignore")


def hidden(picture: Labelled, crops: Sequence[tuple[Marked, int, Crop]], result: Drawn) -> None:
    """Adds a loss for each object that others cover completely."""
    for one, value, crop in crops:
        if value and not (result.mask[crop.place][crop.pixels] == value).any():
            result.losses.append(f"{place(picture, one)}: {one.label} is covered by others")


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


def read_stored(stored: Any, result: Drawn, classes: Classes) -> None:
    """Puts a mask that is a picture already into the result."""
    try:
        labels = stored.read()
    except InputError as error:
        result.problems += error.problems
        return
    if labels.shape != result.mask.shape:
        height, width = result.mask.shape
        result.problems.append(
            f"{stored.path} is {labels.shape[1]} × {labels.shape[0]} pixels, its picture {width} × "
            f"{height}: both must have one size"
        )
        return
    table = np.zeros(256, np.uint8)
    table[255] = IGNORE
    for number, label in enumerate(stored.labels, start=1):
        table[number] = classes.value_of(label)
    values = table[labels]
    for number in np.unique(labels).tolist():
        if 0 < number <= len(stored.labels):
            name = stored.labels[number - 1]
            result.objects[name] = result.objects.get(name, 0) + 1
    is_marked = labels > 0
    result.mask[is_marked] = values[is_marked]
    if stored.is_defect and not is_marked.any():
        result.losses.append(f"{stored.path}: no pixel of {' or '.join(stored.labels)}")


def place(picture: Labelled, one: Marked) -> str:
    """Where an object is written: `a.json shapes[3]`."""
    return f"{picture.written_in or picture.name} {one.place}".strip()
