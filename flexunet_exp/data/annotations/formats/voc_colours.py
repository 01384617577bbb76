"""The colours of VOC's masks: a table of labels, or VOC's palette by number."""

from __future__ import annotations

import re
from pathlib import Path

from flexunet_exp.data.annotations.checked_json import read_text
from flexunet_exp.data.annotations.formats.format import each
from flexunet_exp.data.annotations.formats.mask_pictures import Colour
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import BACKGROUND
from flexunet_exp.errors import InputError

TABLES = ("labelmap.txt", "class_names.txt")
VOID = (224, 224, 192)  # index 255 of VOC's palette: the line around objects, which is not scored
BLACK = (0, 0, 0)
TWENTY = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


def of_pascal() -> dict[Colour, str]:
    """The classes of Pascal VOC itself."""
    return by_line([BACKGROUND, *TWENTY])


def colours_of(path: Path, place: Place) -> dict[Colour, str]:
    """Colour → label of `label:r,g,b:parts:actions`; VOC's palette by line where none has one."""
    lines = [(n, line.strip()) for n, line in enumerate(read_text(path).splitlines(), start=1)]
    rows = [(n, line) for n, line in lines if line and not line.startswith("#")]
    if path.name != TABLES[0]:
        return by_line([line for _, line in rows])
    found = [*each(rows, lambda row: (row[0], *row_of(row[1], f"{place.shown(path)}:{row[0]}")))]
    if all(colour is None for _, _, colour in found):
        return by_line([name for _, name, _ in found])
    colours: dict[Colour, str] = {}
    for number, name, colour in found:
        if colour in colours:
            raise InputError(
                f"{place.shown(path)}:{number}: {name} and {colours[colour]} have one colour, "
                f"{colour}. Give each its own, and export again."
            )
        if colour is not None:
            colours[colour] = name
    return colours


def row_of(line: str, where: str) -> tuple[str, Colour | None]:
    """The name and the colour of a line; None without one."""
    name, _, rest = line.partition(":")
    numbers = rest.split(":")[0].strip()
    if not numbers:
        return name.strip(), None
    values = numbers.split(",")
    if len(values) != 3 or not all(re.fullmatch(r"\s*\d{1,3}\s*", value) for value in values):
        raise InputError(f"{where}: found the colour {numbers!r:.60}, expected r,g,b or nothing.")
    red, green, blue = (int(value) for value in values)
    if max(red, green, blue) > 255:
        raise InputError(f"{where}: found the colour {numbers!r}, expected numbers up to 255.")
    return name.strip(), (red, green, blue)


def by_line(names: list[str]) -> dict[Colour, str]:
    return {colour_of(number): name for number, name in enumerate(names)}


def colour_of(number: int) -> Colour:
    """A colour of VOC's palette: three bits of a number for each bit of the channels."""
    red = green = blue = 0
    for place in range(8):
        bits = number >> (3 * place)
        red |= (bits & 1) << (7 - place)
        green |= (bits >> 1 & 1) << (7 - place)
        blue |= (bits >> 2 & 1) << (7 - place)
    return red, green, blue
