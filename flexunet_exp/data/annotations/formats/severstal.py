"""Severstal's table: a row for each class of a picture, with run lengths by columns from 1 on.

`ImageId,ClassId,EncodedPixels`, or `ImageId_ClassId,EncodedPixels` as it was first. Pictures beside
those of the table that have no row are good ones.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flexunet_exp.data.annotations.checked_json import read_text
from flexunet_exp.data.annotations.formats.format import Format, each
from flexunet_exp.data.annotations.formats.xml_files import head_of
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import Class, Export, Labelled, Marked
from flexunet_exp.data.annotations.shapes import Bitmap, Packed
from flexunet_exp.errors import InputError

HEADINGS = (["ImageId", "ClassId", "EncodedPixels"], ["ImageId_ClassId", "EncodedPixels"])


class Severstal(Format):
    """The labels are defect_1 to defect_4: the table has their numbers alone."""

    title = "Severstal's table"

    def recognises(self, place: Place) -> bool:
        return bool(tables_in(place))

    def read(self, place: Place) -> Export:
        tables = tables_in(place)
        objects: dict[str, list[Marked]] = {}
        written_in: dict[str, str] = {}
        for table in tables:
            for name, one in each(rows_of(table, place), lambda row: object_of(*row)):
                objects.setdefault(name, []).extend([one] if one else [])
                written_in.setdefault(name, place.shown(table))
        labelled = {name: place.pictures.find(name) for name in objects}
        folders = {path.parent for path in labelled.values() if path}
        listed = set(labelled.values())
        pictures = [
            Labelled(
                place.shown(path) if path else name,
                path,
                tuple(objects[name]),
                written_in=written_in[name],
            )
            for name, path in labelled.items()
        ]
        pictures += [
            Labelled(place.shown(path), path, done=path.parent in folders)
            for path in place.pictures.all
            if path not in listed
        ]
        labels = sorted({one.label for found in objects.values() for one in found})
        return Export(Tool("Severstal"), tuple(map(Class, labels)), tuple(pictures), tuple(tables))


def tables_in(place: Place) -> list[Path]:
    """The tables, without the sample of a submission, whose masks are no truth."""
    return [
        path
        for path in place.of_suffix(".csv")
        if heading_of(path) in HEADINGS and "submission" not in path.stem.lower()
    ]


def heading_of(path: Path) -> list[str]:
    line = head_of(path).decode("utf-8-sig", "replace").split("\n")[0]
    return [cell.strip() for cell in line.split(",")]


def rows_of(path: Path, place: Place) -> Iterator[tuple[str, int, dict[str, str]]]:
    """The table's name, and each row with its line."""
    lines = csv.DictReader(read_text(path).splitlines(), restkey="", restval="")
    try:
        for row in lines:
            yield place.shown(path), lines.line_num, row
    except csv.Error as error:
        raise InputError(f"{place.shown(path)}:{lines.line_num}: no row ({error}).") from error


def object_of(shown: str, line: int, row: dict[str, str]) -> tuple[str, Marked | None]:
    """The name of a picture, and its object; none where the class has no pixels."""
    where = f"{shown}:{line}"
    name, number = row.get("ImageId"), row.get("ClassId")
    if name is None or number is None:
        name, _, number = row.get("ImageId_ClassId", "").rpartition("_")
    if not name or not re.fullmatch(r"\s*\d{1,9}\s*", number):
        raise InputError(
            f"{where}: found {name!r:.60} and {number!r:.60}, expected a picture and a class."
        )
    text = row.get("EncodedPixels", "").strip()
    if not text:
        return name, None

    shape = Packed(lambda size: Bitmap(unpacked(text, size)))
    return name, Marked(f"defect_{int(number)}", shape, place=f"line {line}")


def unpacked(text: str, size: tuple[int, int]) -> np.ndarray:
    """Pixels (H, W) bool of `start length start length …`: by columns, the first pixel is 1."""
    height, width = size
    try:
        numbers = np.array(text.split(), np.int64)
    except (ValueError, OverflowError):
        raise InputError("its runs are no whole numbers") from None
    starts, lengths = numbers[::2] - 1, numbers[1::2]
    if len(starts) != len(lengths):
        raise InputError("its last run has a start and no length")
    # Each is checked by itself, as the sum of giant ones could wrap around.
    pixels = height * width
    if min(starts.min(), lengths.min()) < 0 or max(starts.max(), lengths.max()) > pixels:
        raise InputError(f"its runs lie outside of the {width} × {height} pixels of the picture")
    ends = starts + lengths
    if ends.max() > pixels:
        raise InputError(f"its runs lie outside of the {width} × {height} pixels of the picture")
    changes = np.zeros(pixels + 1, np.int64)
    np.add.at(changes, starts, 1)
    np.add.at(changes, ends, -1)
    return (np.cumsum(changes[:-1]) > 0).reshape(width, height).T
