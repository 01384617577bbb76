"""The files of VGG Image Annotator 2: their pictures and regions, before they mean anything."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from flexunet_exp.data.annotations.checked_json import member, read_text, want
from flexunet_exp.data.annotations.formats.format import each
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.errors import InputError

COLUMNS = {"region_shape_attributes", "region_attributes"}  # of a CSV
NAMES = ("filename", "#filename")  # its column for the picture


class Region(NamedTuple):
    """A region as the file has it: its shape, its attributes, and where it is."""

    shape: dict
    attributes: dict
    place: str


class Photo(NamedTuple):
    """A picture as the file has it."""

    name: str
    regions: list[Region]
    path: Path


def is_via(content: Any) -> bool:
    if not isinstance(content, dict):
        return False
    if "_via_img_metadata" in content:
        return True
    first = next(iter(content.values()), None)
    return isinstance(first, dict) and {"filename", "regions"} <= first.keys()


def is_via_csv(path: Path) -> bool:
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        found = {*file.readline(2000).strip().split(",")}
    return found >= COLUMNS


def photos_of(place: Place, path: Path) -> list[Photo]:
    if path.suffix.lower() == ".csv":
        return [*photos_of_csv(place, path)]
    content, shown = place.json(path), place.shown(path)
    if "_via_img_metadata" in content:
        shown = f"{shown} _via_img_metadata"
        content = member(content, "_via_img_metadata", dict, place.shown(path))
    return [*each(content.items(), lambda pair: photo_of(pair[0], pair[1], shown, path))]


def photo_of(key: str, node: Any, shown: str, path: Path) -> Photo:
    where = f"{shown} {key}"
    want(node, dict, where)
    nodes = node.get("regions")
    if isinstance(nodes, dict):  # VIA 1 numbers them
        nodes = [*nodes.values()]
    regions = []
    for index, one in enumerate(want(nodes, list, f"{where} regions")):
        at = f"{where} regions[{index}]"
        want(one, dict, at)
        regions.append(region_of(one.get("shape_attributes"), one.get("region_attributes"), at))
    return Photo(member(node, "filename", str, where), regions, path)


def region_of(shape: Any, attributes: Any, where: str) -> Region:
    return Region(
        want(shape, dict, f"{where} shape_attributes"),
        want(attributes, dict, f"{where} region_attributes"),
        where,
    )


def photos_of_csv(place: Place, path: Path) -> Iterator[Photo]:
    """The pictures of a CSV: a row for each region, one without a shape where there is none."""
    shown = place.shown(path)
    found: dict[str, list[Region]] = {}

    def read(pair: tuple[int, dict]) -> None:
        row, values = pair
        where = f"{shown} row {row}"
        name = next((values[key] for key in NAMES if values.get(key)), None)
        regions = found.setdefault(want(name, str, f"{where} filename"), [])
        shape, attributes = (
            json_of(want(values[key], str, f"{where} {key}"), where)
            for key in ("region_shape_attributes", "region_attributes")
        )
        if shape:
            regions.append(region_of(shape, attributes, where))

    try:
        rows = [*enumerate(csv.DictReader(io.StringIO(read_text(path))), start=2)]
    except csv.Error as error:
        raise InputError(f"{shown}: no CSV ({error}). Export it again.") from error
    [*each(rows, read)]
    for name, regions in found.items():
        yield Photo(name, regions, path)


def json_of(text: str, where: str) -> Any:
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: found {text!r:.60}, expected JSON such as {{}}.") from error


def options_of(place: Place, path: Path, attribute: str) -> list[str]:
    """The values that a project lists for an attribute, in its order; none elsewhere."""
    node = place.json(path) if path.suffix.lower() == ".json" else {}
    for key in ("_via_attributes", "region", attribute, "options"):
        node = node.get(key) if isinstance(node, dict) else None
    return [str(key) for key in node] if isinstance(node, dict) else []
