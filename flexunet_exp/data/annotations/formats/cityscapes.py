"""Masks in the folders of Cityscapes: gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png.

CVAT and datumaro write `label_colors.txt`, whose lines are the labels from 0 on. Without the file
the labels are those of Cityscapes; those that its own scores leave out become 255.
"""

from __future__ import annotations

from pathlib import Path

from flexunet_exp.data.annotations.checked_json import read_text
from flexunet_exp.data.annotations.formats.format import Format
from flexunet_exp.data.annotations.formats.mask_pictures import by_value, labels_of, picture_of
from flexunet_exp.data.annotations.formats.split_names import split_named, unless_one
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import BACKGROUND, IGNORED, Class, Export, Labelled
from flexunet_exp.errors import InputError

MASKS, IMAGES, TABLE = "gtFine", "leftImg8bit", "label_colors.txt"
END, IMAGE_END = "_gtFine_labelIds", "_leftImg8bit"
SCORED = {
    7: "road",
    8: "sidewalk",
    11: "building",
    12: "wall",
    13: "fence",
    17: "pole",
    19: "traffic light",
    20: "traffic sign",
    21: "vegetation",
    22: "terrain",
    23: "sky",
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}


class Cityscapes(Format):
    """The folders train, val and test are the splits."""

    title = "Cityscapes label ids"

    def recognises(self, place: Place) -> bool:
        return any(path.stem.endswith(END) for path in place.of_suffix(".png"))

    def read(self, place: Place) -> Export:
        masks = [path for path in place.of_suffix(".png") if path.stem.endswith(END)]
        tables = [path for path in place.of_suffix(".txt") if path.name == TABLE]
        if len(tables) > 1:
            shown = ", ".join(map(place.shown, tables))
            raise InputError(f"{shown}: several tables of labels. Import one export at a time.")
        names = labels_in(tables[0], place) if tables else of_cityscapes()
        labelled = [picture_with(place, mask, names) for mask in masks]
        known = {one.file for one in labelled}
        others = [
            Labelled(place.shown(path), path, done=False, split=split_of(path, place))
            for path in place.pictures.all
            if path not in known and path.stem.endswith(IMAGE_END)
        ]
        return Export(
            Tool("Cityscapes"),
            tuple(map(Class, labels_of(names.values()))),
            tuple(unless_one([*labelled, *others])),
            tuple(tables),
            notes=() if tables else (f"No {TABLE}: the labels are those of Cityscapes itself.",),
        )


def of_cityscapes() -> dict[int, str]:
    """Number → label; those that are not scored are ignored, no part is background."""
    return {number: SCORED.get(number, IGNORED) for number in (*range(34), 255)}


def labels_in(path: Path, place: Place) -> dict[int, str]:
    """Number → label of lines `r g b name`, or `name`; the one in black is the background.

    Where none is black, datumaro's numbers begin with a background that the file may not list.
    """
    lines = enumerate(read_text(path).splitlines(), start=1)
    rows = [(number, line.split(None, 3)) for number, line in lines]
    found = [row_of(words, f"{place.shown(path)}:{number}") for number, words in rows
             if words and words[0][0] != "#"]  # fmt: skip
    labels = [BACKGROUND if is_black else label for label, is_black in found]
    if not any(is_black for _, is_black in found):
        labels = [BACKGROUND, *(label for label in labels if label != BACKGROUND)]
    if len(labels) > 255:
        raise InputError(f"{place.shown(path)}: {len(labels)} labels, expected at most 255.")
    return dict(enumerate(labels))


def row_of(words: list[str], where: str) -> tuple[str, bool]:
    """The label of a line, and whether it is black."""
    is_coloured = len(words) == 4 and all(word.isdecimal() for word in words[:3])
    if not is_coloured and len(words) != 1:
        raise InputError(f"{where}: found {' '.join(words)!r}, expected 'r g b name'.")
    return words[-1].strip(), words[:3] == ["0", "0", "0"]


def picture_with(place: Place, mask: Path, names: dict[int, str]) -> Labelled:
    stem = mask.stem.removesuffix(END)
    folders = mask.parent.as_posix().rpartition(f"/{MASKS}/")[2]
    taken = {path for path in place.pictures.all if MASKS in path.parts}
    file = picture_of(place, f"{folders}/{stem}{IMAGE_END}", taken) or picture_of(
        place, f"{folders}/{stem}", taken
    )
    return Labelled(
        place.shown(file) if file else stem,
        file,
        masks=(by_value(mask, names, f"Add them to {TABLE}, or export again"),),
        split=split_of(mask, place),
        written_in=place.shown(mask),
    )


def split_of(path: Path, place: Place) -> str:
    """By the one folder that is named after a split."""
    words = Path(place.shown(path)).parts[:-1]
    return next((split for word in words if (split := split_named(word))), "")
