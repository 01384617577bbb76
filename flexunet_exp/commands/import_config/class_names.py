"""Names of classes from the comment above a colour map, in the forms that the family writes."""

from __future__ import annotations

import re
from collections.abc import Sequence

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
}
NAME = r"[\"']?([A-Za-z][\w /-]*?)[\"']?"
TRIPLE = r"\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)"
BY_TRIPLE = re.compile(rf"{NAME}\s*[:=]?\s*{TRIPLE}")
BY_WORD = re.compile(r"([A-Za-z][\w/-]*(?: [A-Za-z][\w/-]*)?)\s*:\s*([A-Za-z][\w-]*)")
HEADING = re.compile(
    r"^.*(?:rgb|colou?rs?|map|dict)\b[^:]*?(?:classes\W*|\s{2,}|:\s*(?=.*:))", re.I
)


def names_of(comment: Sequence[str], colours: Sequence[Colour]) -> list[str] | None:
    """A name for each defect colour; None where the comment does not name them all."""
    triples = {colour(match[2:5]): match[1] for match in found(BY_TRIPLE, comment)}
    if set(colours) <= set(triples):
        return distinct([triples[one] for one in colours])
    pairs = [
        (match[1], match[2].lower())
        for match in found(BY_WORD, comment)
        if match[1].lower() not in ("background", "rgb", "classes")
    ]
    if len(pairs) != len(colours):
        return None
    words = {COLOURS.get(word): name for name, word in pairs}
    if set(colours) <= set(words):
        return distinct([words[one] for one in colours])
    return distinct([name for name, _ in pairs])  # brown, dark-grey …: in the map's order


def found(pattern: re.Pattern, comment: Sequence[str]) -> list[tuple[str, ...]]:
    """The matches in all lines, each as (whole, group 1, …), without a heading before the names."""
    return [
        (match[0], *match.groups())
        for line in comment
        for match in pattern.finditer(HEADING.sub("", line))
    ]


def colour(parts: Sequence[str]) -> Colour:
    red, green, blue = map(int, parts)
    return red, green, blue


def distinct(names: Sequence[str]) -> list[str] | None:
    """The names as classes have them; None if two are alike, or one is taken."""
    clean = [re.sub(r"\W+", "_", name.strip()).strip("_") for name in names]
    if len(set(clean)) < len(clean) or {"", "good", "background"} & {one.lower() for one in clean}:
        return None
    return clean
