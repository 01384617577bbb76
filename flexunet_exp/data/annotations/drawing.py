"""A picture's objects as one mask of classes, and what drawing them lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from flexunet_exp.data.annotations.classes import Classes
from flexunet_exp.data.annotations.drawn import Drawn
from flexunet_exp.data.annotations.object_pixels import crop_of, is_ignored, place, unpacked
from flexunet_exp.data.annotations.raster import Crop, Size, Tool
from flexunet_exp.data.annotations.records import Labelled, Marked
from flexunet_exp.data.annotations.rules import Rules
from flexunet_exp.data.masks.mask_rules import IGNORE
from flexunet_exp.errors import InputError


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
    for one, seen in unpacked(picture, size, result):
        value = IGNORE if is_ignored(seen, rules) else classes.value_of(one.label)
        crop = crop_of(seen, value, size, tool, rules, result, place(picture, one))
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


def hidden(picture: Labelled, crops: Sequence[tuple[Marked, int, Crop]], result: Drawn) -> None:
    """Adds a loss for each object that others cover completely."""
    for one, value, crop in crops:
        if value and not (result.mask[crop.place][crop.pixels] == value).any():
            result.losses.append(f"{place(picture, one)}: {one.label} is covered by others")


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
