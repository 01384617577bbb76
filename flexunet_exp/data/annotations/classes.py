"""Which class of the new set each label of a tool becomes."""

from __future__ import annotations

import colorsys
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flexunet_exp.data.annotations.records import BACKGROUND, IGNORED, Class
from flexunet_exp.data.masks.mask_rules import IGNORE
from flexunet_exp.errors import InputError, did_you_mean

MOST = 254  # defect classes: 0 is the background, 255 is ignored
BLACK = (0, 0, 0)


@dataclass(frozen=True)
class Classes:
    """The classes of the set, background first, and the value of each label of the tool."""

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    values: Mapping[str, int] = field(default_factory=dict)

    def value_of(self, label: str) -> int:
        """The value in the mask that a label of the tool becomes."""
        return self.values[label]


def of_export(
    own: Sequence[Class], merged: Mapping[str, Sequence[str]], ignored: Sequence[str]
) -> Classes:
    """The classes of a set that is made of a tool's.

    `merged` maps a new name to the labels that become it; a label that it does not name keeps its
    own, with `_` for what no class can have in its name. `ignored` labels become 255. The order is
    the tool's. Raises InputError with every label that is not the tool's, is named twice, or can
    name no class, and for more than 254 classes.
    """
    known = [one.name for one in own if one.name not in (BACKGROUND, IGNORED)]
    problems = list(wrong_names(known, merged, ignored))
    renamed = {label: new for new, labels in merged.items() for label in labels}
    names: list[str] = []
    becomes: dict[str, list[str]] = {}
    values = {BACKGROUND: 0, IGNORED: IGNORE, **dict.fromkeys(ignored, IGNORE)}
    given: dict[str, tuple[int, int, int] | None] = {}
    for one in own:
        if one.name in values:
            continue
        name = renamed.get(one.name) or class_name(one.name)
        if name not in names:
            names.append(name)
            given[name] = one.colour
        becomes.setdefault(name, []).append(one.name)
        values[one.name] = names.index(name) + 1
    problems += unusable_names(becomes, merged)
    if len(names) > MOST:
        problems.append(
            f"{len(names)} classes, at most {MOST} fit into a mask. Merge some: "
            "classes={new: [old, other]}"
        )
    if not names:
        problems.append("No class is left. Check ignore= and classes=.")
    if problems:
        raise InputError(problems)
    colours = tuple(distinct([given[name] for name in names]))
    return Classes((BACKGROUND, *names), (BLACK, *colours), values)


def class_name(label: str) -> str:
    """The class that a label becomes by itself: letters, digits, _ and - stay, the rest is _.

    A first letter with an accent loses it (`Ölfleck` → `Olfleck`): a class begins with a plain one.
    """
    name = re.sub(r"[^\w-]+", "_", label).strip("_") or label
    plain = unicodedata.normalize("NFKD", name[:1]).encode("ascii", "ignore").decode()
    return (plain or name[:1]) + name[1:]


def unusable_names(becomes: Mapping[str, list[str]], merged: Mapping) -> Iterator[str]:
    """A problem for each name (→ its labels) that no class can have, or that two labels share."""
    for name, labels in becomes.items():
        if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name) or name in ("good", BACKGROUND, IGNORED):
            yield (
                f"the label {labels[0]!r} is no name of a class: letters, digits, _ and -, not "
                f"good, background or ignore. Name it: 'classes={{new: [{labels[0]}]}}'"
            )
        elif len(labels) > 1 and name not in merged:
            yield (
                f"the labels {', '.join(map(repr, labels))} would both be the class {name}. Say "
                f"that they are one, 'classes={{{name}: [{', '.join(labels)}]}}', or name them"
            )


def wrong_names(
    known: Sequence[str], merged: Mapping[str, Sequence[str]], ignored: Sequence[str]
) -> Iterator[str]:
    named = [(f"classes.{new}", label) for new, labels in merged.items() for label in labels]
    seen: dict[str, str] = {}
    for key, label in [*named, *(("ignore", label) for label in ignored)]:
        if label not in known:
            near, listed = did_you_mean(label, known), ", ".join(known[:12])
            yield f"{key}: no class is called {label!r}.{near} There are: {listed}"
        if label in seen:
            yield f"{label!r} is named by {seen[label]} and by {key}: name it once"
        seen[label] = key


def distinct(wanted: Sequence[tuple[int, int, int] | None]) -> Iterator[tuple[int, int, int]]:
    """The tool's colours, and for classes without one, or with one that is taken, the next free."""
    taken = {BLACK}
    free = palette()
    for colour in wanted:
        while colour is None or colour in taken:
            colour = next(free)
        taken.add(colour)
        yield colour


def palette() -> Iterator[tuple[int, int, int]]:
    """Colours far apart: hues in steps of the golden ratio, three rounds of brightness."""
    for number in range(3 * MOST):
        hue, value = number * 0.618034 % 1, (1.0, 0.7, 0.45)[number // MOST]
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, value)
        yield round(255 * red), round(255 * green), round(255 * blue)
