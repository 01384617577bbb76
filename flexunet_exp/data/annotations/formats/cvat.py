"""CVAT for images 1.1: one XML of a task, a job or a project, drawn as CVAT's own mask export does.

That export (cvat/apps/dataset_manager/formats: mask.py, transformations.py) draws polygons and
boxes by pycocotools, turned boxes as polygons about their centre, and ellipses by OpenCV with whole
centres and radii; lines, points and cuboids it leaves out. Coordinates are corners of pixels. The
XML lists every frame except deleted ones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

from flexunet_exp.data.annotations import raster
from flexunet_exp.data.annotations.checked_json import number
from flexunet_exp.data.annotations.formats.cvat_shapes import SHAPES, ellipse_of_cvat
from flexunet_exp.data.annotations.formats.format import Format, each
from flexunet_exp.data.annotations.formats.split_names import split_named, unless_one
from flexunet_exp.data.annotations.formats.xml_files import head_of, parts_of
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import Class, Export, Labelled, Marked
from flexunet_exp.errors import InputError

TOOL = Tool("CVAT", polygon=raster.by_coco, line=raster.lines_by_opencv, ellipse=ellipse_of_cvat)
VIDEO_SUFFIX = ".PNG"  # of the frames of a video, whose names in the XML have none


class Cvat(Format):
    """One XML, or one for each task, job or subset; train, val and test are the splits."""

    title = "CVAT for images"

    def recognises(self, place: Place) -> bool:
        return any(is_cvat(path) for path in place.of_suffix(".xml")[:4])

    def read(self, place: Place) -> Export:
        files = [path for path in place.of_suffix(".xml") if is_cvat(path)]
        found = [*each(files, lambda path: Document(place, path).read())]
        pictures = [picture for one in found for picture in one.pictures]
        return Export(
            TOOL,
            classes_of(found, pictures),
            tuple(unless_one(pictures)),
            tuple(files),
            notes=tuple(notes_of(found, pictures, place)),
        )


def is_cvat(path: Path) -> bool:
    head = head_of(path)
    return b"<annotations" in head and (b"<meta" in head or b"<image" in head)


@dataclass
class Document:
    """An XML while it is read: its labels with their colours, its pictures, its subset."""

    place: Place
    path: Path
    labels: dict[str, tuple[int, int, int] | None] = field(default_factory=dict)
    pictures: list[Labelled] = field(default_factory=list)
    subset: str = ""
    tags: int = 0

    def read(self) -> Document:
        """Itself, filled. Raises InputError with every problem."""
        readers: dict[str, Callable[[Element], None]] = {
            "meta": self.read_meta,
            "image": self.read_image,
            "track": self.refuse_track,
        }
        parts = parts_of(self.path, self.shown)
        for _ in each(parts, lambda part: readers.get(part.tag, lambda _: None)(part)):
            pass
        return self

    @property
    def shown(self) -> str:
        return self.place.shown(self.path)

    def read_meta(self, meta: Element) -> None:
        """Labels in CVAT's order, without the points of skeletons, which have a parent."""
        self.subset = meta.findtext("*/subset") or ""
        for label in meta.iter("label"):
            name = label.findtext("name")
            if name and not label.findtext("parent"):
                self.labels[name] = colour_of(label.findtext("color") or "")

    def read_image(self, image: Element) -> None:
        name = attribute(image, "name", self.shown)
        where = f"{self.shown} image {name!r}"
        size = whole(image, "height", where), whole(image, "width", where)
        own = image.get("subset", "")
        file = self.file_of(name, own)
        self.tags += len(image.findall("tag"))
        self.pictures.append(
            Labelled(
                self.place.shown(file) if file else name,
                file,
                tuple(objects_of(image, self.shown, f"image {name!r}")),
                size,
                split=split_named(own or self.subset or self.path.stem),
                written_in=self.shown,
            )
        )

    def file_of(self, name: str, subset: str) -> Path | None:
        """By the subset and the name, as a project has it; by the name; as a frame of a video."""
        names = [f"{subset}/{name}", name, f"{name}{VIDEO_SUFFIX}"]
        found = (self.place.pictures.find(one, self.path.parent) for one in names)
        return next((file for file in found if file), None)

    def refuse_track(self, _: Element) -> None:
        raise InputError(
            f"{self.shown}: holds tracks, it is of the format CVAT for video. Export the task "
            "again as CVAT for images 1.1, which has each frame as a picture."
        )


def objects_of(image: Element, shown: str, place: str) -> Iterator[Marked]:
    numbers: Counter[str] = Counter()

    def read(element: Element) -> Marked:
        spot = f"{place} {element.tag}[{numbers[element.tag]}]"
        numbers[element.tag] += 1
        return object_of(element, shown, spot)

    yield from each((one for one in image if one.tag != "tag"), read)


def object_of(element: Element, shown: str, place: str) -> Marked:
    where = f"{shown} {place}"
    if element.tag not in SHAPES:
        raise InputError(f"{where}: expected one of: {', '.join(SHAPES)}.")
    return Marked(
        attribute(element, "label", where),
        SHAPES[element.tag](element, where),
        order=number(element.get("z_order", 0), f"{where} z_order"),
        place=place,
    )


def attribute(element: Element, key: str, where: str) -> str:
    value = element.get(key)
    if value is None:
        raise InputError(f"{where}: has no {key!r}.")
    return value


def whole(element: Element, key: str, where: str) -> int:
    return int(number(attribute(element, key, where), f"{where} {key}"))


def colour_of(text: str) -> tuple[int, int, int] | None:
    """The colour of `#ff8000`; None for anything else."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text.strip()):
        return None
    red, green, blue = bytes.fromhex(text.strip()[1:])
    return red, green, blue


def classes_of(found: list[Document], pictures: list[Labelled]) -> tuple[Class, ...]:
    """The labels as the tasks list them, then those that objects have beside them, by name."""
    listed = {name: colour for one in reversed(found) for name, colour in one.labels.items()}
    ordered = dict.fromkeys(name for one in found for name in one.labels)
    used = {marked.label for one in pictures for marked in one.objects}
    names = [*ordered, *sorted(used - ordered.keys())]
    return tuple(Class(name, listed.get(name)) for name in names)


def notes_of(found: list[Document], pictures: list[Labelled], place: Place) -> Iterator[str]:
    if tags := sum(one.tags for one in found):
        yield f"{tags} tags are of whole pictures: they are not in the masks."
    listed = {one.file for one in pictures}
    others = [place.shown(path) for path in place.pictures.all if path not in listed]
    if others:
        yield (
            f"{len(others)} pictures stay out, such as {others[0]}: the XML lists every frame but "
            "deleted ones, and does not list them."
        )
