"""A row of the table of options."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from flexunet_exp.config.rules import Rule


class Changes(Enum):
    """The most that an option can change."""

    WEIGHTS = "weights"  # what is trained: another value is another run
    ROUNDING = "weights, by rounding alone"  # another run, but of the same recipe
    SCORES = "scores"  # how the same weights are scored
    DATA = "data"  # where pictures are read from, or which are made: their digest identifies them
    NOTHING = "neither"


WEIGHTS, ROUNDING, SCORES, DATA, NOTHING = Changes
TRAIN = "train"


@dataclass(frozen=True)
class Option:
    """A row of the table: an option, or with a key `section.*` all options below without a row."""

    key: str
    meaning: str
    rule: Rule | None = None  # None: the code that reads the option checks it
    changes: Changes = NOTHING
    minutes: bool = False  # whether it decides how long a training takes
    repeats: bool = False  # whether runs that differ in it alone repeat one cell
    param: str = ""  # the parameter that the store shows it as, if typed; `*`: its last word
    literal: bool = False  # whether its value is any text, such as a path: quoted for Hydra
    pattern: bool = False  # like `literal`, but Hydra resolves a `${…}` in it
    optional: bool = False  # whether older runs, and some commands, lack it
    example: str = ""  # what to type, if the rule's example does not fit
    commands: tuple[str, ...] = ()  # whose own option it is; (): of train and all that have it

    @property
    def section(self) -> str:
        """`trainer` of `trainer.epochs`, `model` of `model.*`, nothing of `monitor`."""
        return self.key.rpartition(".")[0]

    @property
    def is_group(self) -> bool:
        return self.key.endswith(".*")


def parents(key: str) -> list[str]:
    """The sections around a key, innermost first: `a.b` and `a` of `a.b.c`."""
    return [key[: dot.start()] for dot in re.finditer(r"\.", key)][::-1]
