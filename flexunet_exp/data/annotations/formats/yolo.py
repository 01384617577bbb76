"""YOLO segmentation: a text of polygons for each picture, and data.yaml with the classes.

A row is a class and x, y … as parts of width and height; they become whole pixels by rounding, as
6 decimals need it, and OpenCV fills them with their lines. Rows are parts that never cut a hole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from flexunet_exp.data.annotations import raster
from flexunet_exp.data.annotations.checked_json import number, read_text
from flexunet_exp.data.annotations.formats.format import Format, each
from flexunet_exp.data.annotations.formats.yolo_settings import Settings, settings_of
from flexunet_exp.data.annotations.place import Place, before_upload
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import Class, Export, Labelled, Marked
from flexunet_exp.data.annotations.shapes import BoxOnly, Packed, Polygon, Shape
from flexunet_exp.errors import InputError

TOOL = Tool("YOLO", polygon=raster.by_opencv, line=raster.lines_by_opencv)
FAR = 2.0  # parts of a picture; coordinates further away are pixels


class Yolo(Format):
    """A folder with data.yaml, or classes.txt; texts lie in `labels` where pictures do in `images`.

    A picture with an empty text is good; one without a text is not done.
    """

    title = "YOLO segmentation"

    def recognises(self, place: Place) -> bool:
        return settings_of(place) is not None

    def read(self, place: Place) -> Export:
        settings = settings_of(place)
        if settings is None:
            raise InputError(
                f"{place.given}: expected data.yaml with the names of the classes, or classes.txt "
                "with labels/*.txt."
            )
        texts = [path for path in place.of_suffix(".txt") if is_label(path, place)]
        paired = texts_of(place, texts)
        pictures = list(
            each(place.pictures.all, lambda path: picture_of(place, path, paired, settings))
        )
        read = set(paired.values())
        pictures += [
            Labelled(path.with_suffix(".png").name, None, written_in=place.shown(path))
            for path in texts
            if path not in read
        ]
        classes = tuple(map(Class, settings.names.values()))
        return Export(TOOL, classes, tuple(pictures), (settings.path, *texts))


def is_label(path: Path, place: Place) -> bool:
    """Whether a text lies below `labels`, or beside a picture of its name."""
    inside = path.relative_to(place.root).parts[:-1]
    return "labels" in inside or any(
        picture.parent == path.parent
        for picture in place.pictures.by_stem.get(path.stem.lower(), ())
    )


def texts_of(place: Place, texts: Sequence[Path]) -> dict[Path, Path]:
    """Picture → its text: where `labels` takes the place of the last folder `images` of its path.

    Pictures that lie elsewhere get the one text that has their name and no picture.
    """
    known = set(texts)
    paired = {path: text for path in place.pictures.all
              if (text := label_file(path, place.pictures.folder)) in known}  # fmt: skip
    left: dict[str, list[Path]] = {}
    for text in known - set(paired.values()):
        left.setdefault(before_upload(text.stem), []).append(text)
    for path in place.pictures.all:
        same = left.get(before_upload(path.stem), ())
        if path not in paired and len(same) == 1:
            paired[path] = same[0]
    return paired


def label_file(picture: Path, folder: Path) -> Path:
    parts = [*picture.relative_to(folder).parts]
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[:-1][::-1].index("images")] = "labels"
    return folder.joinpath(*parts).with_suffix(".txt")


def picture_of(
    place: Place, path: Path, texts: Mapping[Path, Path], settings: Settings
) -> Labelled:
    shown = place.shown(path)
    split = settings.split_of(shown, path)
    text = texts.get(path)
    if text is None:
        return Labelled(shown, path, done=False, split=split)
    rows = [(f"line {n}", row.split()) for n, row in enumerate(read_text(text).splitlines(), 1)]
    rows = [(line, row) for line, row in rows if row]
    written_in = place.shown(text)
    objects = each(rows, lambda pair: object_of(*pair, settings, written_in))
    return Labelled(shown, path, tuple(objects), split=split, written_in=written_in)


def object_of(line: str, row: list[str], settings: Settings, shown: str) -> Marked:
    where = f"{shown} {line}"
    key, *values = (number(value, where) for value in row)
    if key not in settings.names:
        listed = ", ".join(f"{number} {name}" for number, name in settings.names.items())
        raise InputError(f"{where}: the class {row[0]}, expected one of: {listed[:300]}.")
    return Marked(settings.names[int(key)], shape_of(np.array(values), where), place=line)


def shape_of(values: np.ndarray, where: str) -> Packed:
    """A polygon of three points or more; of 4 numbers, a box: its middle and its sides."""
    if len(values) % 2 or len(values) < 4:
        raise InputError(
            f"{where}: {len(values)} numbers after the class, expected x y pairs of a polygon, or "
            "the 4 of a box."
        )
    if np.abs(values).max() > FAR:
        raise InputError(
            f"{where}: found {values[np.abs(values).argmax()]:g}, expected parts of the width and "
            "height, 0 to 1."
        )
    return Packed(lambda size: in_pixels(values.reshape(-1, 2) * size[::-1]))


def in_pixels(points: np.ndarray) -> Shape:
    if len(points) > 2:
        return Polygon(points)
    (left, top), (right, bottom) = points[0] - points[1] / 2, points[0] + points[1] / 2
    return BoxOnly((left, top, right, bottom))
