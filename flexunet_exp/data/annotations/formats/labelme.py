"""LabelMe: a JSON beside each picture, drawn by Pillow.

Read as LabelMe 6.3.1 and 7.9.1 write it. Coordinates are those of the upright picture, cut to whole
numbers; later shapes lie on top; a line is 10 pixels wide, a point a disc of radius 5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from flexunet_exp.data.annotations import embedded, raster
from flexunet_exp.data.annotations.checked_json import member, read_text, want
from flexunet_exp.data.annotations.formats.format import Format, each, not_mentioned
from flexunet_exp.data.annotations.formats.labelme_shapes import shape_of
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import (
    BACKGROUND,
    IGNORED,
    Class,
    Export,
    Labelled,
    Marked,
)
from flexunet_exp.data.annotations.shapes import Shape

TOOL = Tool(
    "LabelMe",
    polygon=raster.by_pillow,
    line=raster.lines_by_pillow,
    ellipse=raster.ellipse_by_pillow,
    line_width=10,
    point_radius=5,
)
SPECIAL = {"_background_": BACKGROUND, "__ignore__": IGNORED}  # of its own converters
FIRST = 20  # files that are looked at to recognise a format with a file for each picture
Read = Callable[[Any, str], Shape]  # a shape's JSON, and where it is


class LabelMe(Format):
    """A folder of LabelMe's files; `labels.txt`, where there is one, gives the order of classes."""

    title = "LabelMe"

    def recognises(self, place: Place) -> bool:
        first = first_files(place)
        return bool(first) and not any(map(is_anylabeling, first))

    def read(self, place: Place) -> Export:
        return export_of(place, TOOL, shape_of, "labels.txt")


def first_files(place: Place) -> list[dict]:
    """The contents of the first files that are LabelMe's or X-AnyLabeling's."""
    first = islice(place.of_suffix(".json"), FIRST)
    return [content for content in map(place.json, first) if is_labelme(content)]


def is_labelme(content: Any) -> bool:
    return isinstance(content, dict) and "shapes" in content and "imagePath" in content


def is_anylabeling(content: dict) -> bool:
    """Whether a file like LabelMe's has the members that X-AnyLabeling adds."""
    shapes = content["shapes"] if isinstance(content["shapes"], list) else []
    return "checked" in content or any(
        isinstance(one, dict) and "difficult" in one for one in shapes
    )


def export_of(place: Place, tool: Tool, read: Read, listed: str) -> Export:
    """All that files of LabelMe's kind say; `listed` is the file that orders the classes."""
    flags: set[str] = set()
    others: list[str] = []

    def picture(path: Path) -> tuple[Path, Labelled] | None:
        content = place.json(path)
        if not is_labelme(content):
            others.append(place.shown(path))
            return None
        flags.update(flags_of(content))
        return path, picture_of(place, path, content, read)

    found = [one for one in each(place.of_suffix(".json"), picture) if one]
    pictures = [one for _, one in found]
    if place.given.is_dir():
        pictures += not_mentioned(place, pictures)
    return Export(
        tool,
        classes_of(pictures, labels_of(place.root / listed)),
        tuple(pictures),
        tuple(path for path, _ in found),
        notes=notes_of(tool, sorted(flags), others),
    )


def notes_of(tool: Tool, flags: list[str], others: list[str]) -> list[str]:
    notes = []
    if flags:
        notes.append(f"Flags are not read, as masks have no place for them: {', '.join(flags)}")
    if others:
        notes.append(f"{len(others)} JSON files are not {tool.name}'s, such as {others[0]}")
    return notes


def flags_of(content: dict) -> Iterable[str]:
    """The flags that are set, of the picture and of its shapes."""
    shapes = content["shapes"] if isinstance(content["shapes"], list) else []
    for node in [content, *shapes]:
        flags = node.get("flags") if isinstance(node, dict) else None
        if isinstance(flags, dict):
            yield from (str(name) for name, is_set in flags.items() if is_set)


def picture_of(place: Place, path: Path, content: dict, read: Read) -> Labelled:
    """The picture of one file; its own bytes, where it has them, stand for a lost picture file."""
    shown = place.shown(path)
    name = member(content, "imagePath", str, shown)
    file = place.pictures.find(name, path.parent)
    height, width = content.get("imageHeight"), content.get("imageWidth")
    size = None
    if height is not None and width is not None:
        size = want(height, int, f"{shown} imageHeight"), want(width, int, f"{shown} imageWidth")

    def unpacked() -> bytes:
        where = f"{shown} imageData"
        return embedded.from_base64(want(place.json(path)["imageData"], str, where), where)

    shapes = member(content, "shapes", list, shown)
    return Labelled(
        name=place.shown(file) if file else re.split(r"[\\/]", name)[-1],
        file=file,
        objects=tuple(each(enumerate(shapes), lambda pair: object_of(*pair, shown, content, read))),
        size=size,
        content=unpacked if content.get("imageData") and file is None else None,
        written_in=shown,
    )


def object_of(index: int, node: Any, shown: str, content: dict, read: Read) -> Marked:
    place = f"shapes[{index}]"
    where = f"{shown} {place}"
    want(node, dict, where)
    label = member(node, "label", str, where)
    node = {**node, "version": content.get("version")}
    return Marked(SPECIAL.get(label, label), read(node, where), place=place)


def labels_of(path: Path) -> list[str]:
    """The labels of a file with one in each line; none without the file."""
    lines = [line.strip() for line in read_text(path).splitlines()] if path.is_file() else []
    return [SPECIAL.get(line, line) for line in lines if line]


def classes_of(pictures: list[Labelled], order: list[str]) -> tuple[Class, ...]:
    """The labels that are listed, in that order, then the others in use by name."""
    used = {marked.label for one in pictures for marked in one.objects}
    names = dict.fromkeys([*order, *sorted(used)])
    return tuple(Class(name) for name in names if name not in (BACKGROUND, IGNORED))
