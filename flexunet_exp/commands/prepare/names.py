"""Names that carry the lineage, `<variant>_<class>_<number>`: `layouts.parse_name` reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from flexunet_exp.data.augmentation import Used
from flexunet_exp.data.layouts import parse_name
from flexunet_exp.errors import InputError

MOST = 150  # bytes of a name; file systems take 255


def of_sources(sources: Iterable[str]) -> dict[str, str]:
    """Source (`bent/003`) → its name (`bent_003`).

    A file whose name is not a number gets the next free number of its class, in the order of the
    names.
    """
    named: dict[str, str] = {}
    others: dict[str, list[str]] = {}
    for source in sorted(set(sources)):
        folder, _, stem = source.partition("/")
        if re.fullmatch("[0-9]+", stem):
            named[source] = f"{folder}_{stem}"
        else:
            others.setdefault(folder, []).append(source)
    for folder, unnumbered in others.items():
        taken = [int(name[len(folder) + 1 :]) for name in of_folder(named, folder)]
        first = max(taken, default=-1) + 1
        named |= {source: f"{folder}_{n:03}" for n, source in enumerate(unnumbered, start=first)}
    return named


def of_folder(named: dict[str, str], folder: str) -> list[str]:
    return [name for source, name in named.items() if source.partition("/")[0] == folder]


def of_variant(number: int, used: Sequence[Used], room: int = MOST) -> str:
    """Number `number` of a source's pictures and what was done to it: `03_hflip_rotation_-7.2`.

    What does not fit into `room` characters is left out and counted: `and_2_more`.
    """
    words = [word(one) for one in used]
    for kept in range(len(words), -1, -1):
        more = [f"and_{len(words) - kept}_more"] if kept < len(words) else []
        name = "_".join([f"{number:02}", *words[:kept], *more])
        if len(name) <= room:
            break
    return name


def word(used: Used) -> str:
    """HorizontalFlip → hflip, Rotation by -7.2 degrees → rotation_-7.2, two defects → pdefect_2."""
    *first, last = re.findall("[A-Z][a-z0-9]*", used.name) or [used.name]
    short = "".join(part[0] for part in first) + last
    numbers = [value for value in used.values.values() if isinstance(value, (int, float))]
    return "_".join([short.lower(), *(f"{value:.3g}" for value in numbers)])


def of_picture(variant: str, source: str, class_names: Sequence[str]) -> str:
    """The stem of a picture's files; InputError if `parse_name` would read it differently."""
    stem = source if variant == "original" else f"{variant}_{source}"
    if parse_name(stem, class_names, "") != (source, variant):
        raise InputError(
            f"The file name {stem} would not be read as variant {variant} of source {source}: one "
            f"class is named like a transform with another class ({', '.join(class_names)}). "
            "Rename it in dataset.classes."
        )
    return stem
