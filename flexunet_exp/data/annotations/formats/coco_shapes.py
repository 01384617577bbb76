"""The shape of a COCO annotation."""

from __future__ import annotations

from typing import Any

from flexunet_exp.data.annotations.checked_json import member, number, want
from flexunet_exp.data.annotations.formats.format import pairs_of
from flexunet_exp.data.annotations.shapes import BoxOnly, Polygon, Polygons, Runs, Shape
from flexunet_exp.errors import InputError


def shape_of(node: dict, size: tuple[int, int] | None, where: str) -> Shape:
    """By the kind of `segmentation`, as pycocotools does, never by `iscrowd`."""
    segmentation = node.get("segmentation")
    if isinstance(segmentation, dict):
        return runs_of(segmentation, size, where)
    parts = want(segmentation or [], list, f"{where} segmentation")
    if parts and not isinstance(parts[0], list):  # one polygon without the list around it
        parts = [parts]
    rings = [pairs_of(part, f"{where} segmentation") for part in parts if part != []]
    if not rings:
        return box_of(node.get("bbox"), f"{where} bbox")
    if len(rings) == 1:
        return Polygon(rings[0])
    return Polygons(tuple(map(Polygon, rings)))


def runs_of(node: dict, size: tuple[int, int] | None, where: str) -> Runs:
    counts = node.get("counts")
    own = [want(value, int, f"{where} size") for value in member(node, "size", list, where)]
    if len(own) != 2 or size not in (None, tuple(own)):
        raise InputError(f"{where}: run lengths of size {own}, its picture is {list(size or ())}.")
    if isinstance(counts, str):
        return Runs(counts.encode("ascii", "replace"), (own[0], own[1]))
    values = [want(value, int, f"{where} counts") for value in want(counts, list, where)]
    return Runs(tuple(values), (own[0], own[1]))


def box_of(values: Any, where: str) -> BoxOnly:
    if not isinstance(values, list) or len(values) != 4:
        raise InputError(f"{where}: found neither a segmentation nor a box [x, y, width, height].")
    left, top, width, height = (number(value, where) for value in values)
    return BoxOnly((left, top, left + width, top + height))
