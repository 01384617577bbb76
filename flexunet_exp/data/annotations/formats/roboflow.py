"""Roboflow's semantic masks: NAME.rf.HASH.jpg, NAME.rf.HASH_mask.png and `_classes.csv`.

Each of train, valid and test has a `_classes.csv` of its own. A source picture may be there in
several augmented versions: NAME is the part that never crosses splits.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from flexunet_exp.data.annotations.checked_json import read_text
from flexunet_exp.data.annotations.formats.format import Format, each
from flexunet_exp.data.annotations.formats.mask_pictures import by_value, labels_of, picture_of
from flexunet_exp.data.annotations.formats.split_names import split_named, unless_one
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.raster import Tool
from flexunet_exp.data.annotations.records import BACKGROUND, Class, Export, Labelled
from flexunet_exp.errors import InputError

TABLE, MASK, HASH = "_classes.csv", "_mask", ".rf."
HEADING = ["pixel value", "class"]


class Roboflow(Format):
    """An export of the kind Semantic Segmentation Masks."""

    title = "Roboflow semantic masks"

    def recognises(self, place: Place) -> bool:
        return any(has_values(path) for path in tables_of(place))

    def read(self, place: Place) -> Export:
        tables = [path for path in tables_of(place) if has_values(path)]
        names = dict(each(tables, lambda path: (path, names_of(path, place.shown(path)))))
        found = each(names.items(), lambda pair: [*pictures_of(place, pair[0].parent, pair[1])])
        pictures = [picture for pictures in found for picture in pictures]
        labels = labels_of(label for table in names.values() for label in table.values())
        return Export(
            Tool("Roboflow"),
            tuple(map(Class, labels)),
            tuple(unless_one(pictures)),
            tuple(tables),
        )


def tables_of(place: Place) -> list[Path]:
    return [path for path in place.of_suffix(".csv") if path.name == TABLE]


def has_values(path: Path) -> bool:
    """Whether the table gives values of pixels; that of Roboflow's multi-label export does not."""
    return heading_of(rows_of(path)) == HEADING


def rows_of(path: Path) -> list[list[str]]:
    """The rows of a table, without the blanks behind its commas."""
    lines = csv.reader(read_text(path).splitlines(), skipinitialspace=True)
    try:
        return [[cell.strip() for cell in row] for row in lines if row]
    except csv.Error as error:
        raise InputError(f"{path}:{lines.line_num}: no row ({error}).") from error


def heading_of(rows: list[list[str]]) -> list[str]:
    return [cell.lower() for cell in rows[0]] if rows else []


def names_of(path: Path, shown: str) -> dict[int, str]:
    """Value → label; 0 is the background."""
    found = {0: BACKGROUND}
    for number, row in enumerate(rows_of(path)[1:], start=2):
        if len(row) != 2 or not re.fullmatch(r"\d{1,3}", row[0]) or int(row[0]) > 255 or not row[1]:
            raise InputError(
                f"{shown}:{number}: found {', '.join(row)!r:.60}, expected a value up to 255 and a "
                "class, as in '1, scratch'."
            )
        found[int(row[0])] = row[1]
    return found


def pictures_of(place: Place, folder: Path, names: dict[int, str]) -> Iterator[Labelled]:
    """The pictures of a folder; those that have no mask are not labelled."""
    masks = {
        path.stem.removesuffix(MASK): path
        for path in place.of_suffix(".png")
        if path.parent == folder and path.stem.endswith(MASK)
    }
    taken = set(masks.values())
    here = [path for path in place.pictures.all if path.parent == folder and path not in taken]
    for stem in dict.fromkeys([*masks, *(path.stem for path in here)]):
        file = picture_of(place, f"{folder.name}/{stem}", taken)
        mask = masks.get(stem)
        yield Labelled(
            place.shown(file) if file else stem,
            file,
            masks=(by_value(mask, names, f"Add them to {TABLE}, or export again"),) if mask else (),
            done=mask is not None,
            split=split_named(folder.name),
            source=stem.rpartition(HASH)[0] or stem,
            written_in=place.shown(mask) if mask else "",
        )
