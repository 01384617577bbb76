"""The classes that masks hold, where several of them are one class of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flexunet_exp.data.masks.mask_rules import IGNORE
from flexunet_exp.errors import InputError

OPTION = "dataset.layout.mask_classes"
KEYS = ("name", "color", "class")  # of an entry
EXAMPLE = "{name: scratch, color: [255, 0, 0], class: defect}"


class MaskClasses:
    """The classes of the masks, background first, and which of the network's `classes` each is.

    `held` lists {name, color, class}; without `class`, the name is that of one of `classes`.
    Without `held`, the masks hold `classes`. `names` are unique, as are the colours of `palette`
    (C, 3) uint8; `becomes` is the class of each name, `listed` the option that says all of it.
    Raises InputError, all problems at once.
    """

    def __init__(self, classes: Sequence[Mapping], held: Sequence[Mapping] | None = None):
        learnt = [str(entry["name"]) for entry in classes]
        entries = held or classes
        if problems := list(held_problems(held, learnt)) if held else []:
            raise InputError("\n".join(problems))
        self.names = tuple(str(entry["name"]) for entry in entries)
        self.palette = np.array([list(entry["color"]) for entry in entries], dtype=np.uint8)
        self.becomes = {str(one["name"]): str(one.get("class", one["name"])) for one in entries}
        self.table = np.full(IGNORE + 1, IGNORE, np.uint8)  # index in a mask → class
        self.table[: len(self.names)] = [learnt.index(self.becomes[name]) for name in self.names]
        self.differ = bool(held)
        self.listed = OPTION if held else "dataset.classes"

    @property
    def plain(self) -> list[Any]:
        """What tells one way to merge from another, as JSON holds it; [] for none."""
        return [list(self.becomes.values())] if self.differ else []

    def learnt(self, mask: np.ndarray) -> np.ndarray:
        """A mask (H, W) uint8 of indices of `names`, as one of `classes`; 255 stays."""
        return self.table[mask] if self.differ else mask


def held_problems(held: Any, learnt: Sequence[str]) -> list[str]:
    """What is wrong with the option."""
    if not (isinstance(held, Sequence) and all(map(is_entry, held))):
        return [f"{OPTION}={held}: expected a list such as [{EXAMPLE}]"]
    names = [str(entry["name"]) for entry in held]
    colours = [tuple(entry["color"]) for entry in held]
    became = [str(entry.get("class", entry["name"])) for entry in held]
    where = f"{OPTION}:"
    problems = [f"{where} {one} is there twice" for one in twice([*names, *colours])]
    problems += [
        f"{where} {name} is no class of dataset.classes ({', '.join(learnt)}); say which it is, "
        f"such as {{name: {name}, …, class: {learnt[-1]}}}"
        for name in dict.fromkeys(became)
        if name not in learnt
    ]
    if became[:1] != learnt[:1]:
        problems.append(f"{where} expected {learnt[0]} first, found {names[0]}")
    return problems


def is_entry(entry: Any) -> bool:
    if not (isinstance(entry, Mapping) and {"name", "color"} <= set(entry) <= set(KEYS)):
        return False
    colour = entry["color"]
    levels = list(colour) if isinstance(colour, Sequence) and not isinstance(colour, str) else []
    return len(levels) == 3 and all(isinstance(one, int) and 0 <= one <= 255 for one in levels)


def twice(values: Sequence[Any]) -> list[Any]:
    return [one for one in dict.fromkeys(values) if values.count(one) > 1]
