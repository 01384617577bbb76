"""Every option: what it means, what it must be, and what it changes.

A new option is a row in a file of this folder, a line in a yaml, and the code that reads it.
Validation, a run's identity, what `compare` calls a cell, the quotes around paths, the parameters
in the store and docs/reference/options.md follow from the rows. An argument of a `_target_` (of a
model, a loss, a callback …) needs no row: a row `model.*` stands for all below `model` that have
none.
"""

from __future__ import annotations

from functools import cache

from flexunet_exp.config.options import commands, data, general, recipe, scoring, training
from flexunet_exp.config.options.row import (
    DATA,
    SCORES,
    TRAIN,
    WEIGHTS,
    Changes,
    Option,
    parents,
)

OPTIONS = (*general.ROWS, *data.ROWS, *training.ROWS, *recipe.ROWS, *scoring.ROWS, *commands.ROWS)

ROWS = {(command, row.key): row for row in OPTIONS for command in row.commands or (TRAIN,)}
SECTIONS = {parent for row in OPTIONS for parent in parents(row.key)}
BY_PARAM = {row.param: row for row in OPTIONS if row.param not in ("", "*")}
REPEATED = tuple(row.key for row in OPTIONS if row.repeats)
QUOTED = {row.key for row in OPTIONS if row.literal or row.pattern}


@cache
def option(key: str, command: str = TRAIN) -> Option | None:
    """The row of a key in a command's configuration, or of its group; None if there is none.

    A group of files has the row of the section it sets: `dataset/layout` has `dataset.layout.*`.
    """
    key = key.replace("/", ".")
    candidates = [key, *(f"{group}.*" for group in (key, *parents(key)))]
    found = (ROWS.get((who, name)) for name in candidates for who in (command, TRAIN))
    return next((row for row in found if row), None)


@cache
def rows(key: str) -> tuple[Option, ...]:
    """All rows of a key: its own and those of the options below it; none for an unknown key."""
    key = key.replace("/", ".")
    below = [row for row in OPTIONS if not row.commands and row.key.startswith(f"{key}.")]
    own = option(key)
    return tuple(below if own is None else [own, *(row for row in below if row is not own)])


def of_command(command: str) -> list[Option]:
    """The options that only this command has, or defines differently from others."""
    return [row for row in OPTIONS if command in row.commands]


def can_change(key: str, *what: Changes) -> bool:
    """Whether an option, or one below it, changes any of this; an unknown one may change all."""
    found = rows(key)
    return not found or any(row.changes in what for row in found)


def describes_recipe(key: str) -> bool:
    """Whether an option says what a recipe is: what is trained on what, and how it is scored."""
    return can_change(key, WEIGHTS, SCORES, DATA)


def takes_minutes(key: str) -> bool:
    """Whether an option of train decides how long a training takes; an unknown one may."""
    found = rows(key)
    return not found or any(row.minutes for row in found)


def param_name(key: str) -> str:
    """The name of a typed option's parameter in the store; empty if it has none.

    It is the option's last word, or a longer name if that is not unique: seed and split.seed.
    A group of files (`model/encoder`) has none: its choice is kept by the group's own name.
    """
    row = option(key)
    if row is None or key in SECTIONS or "/" in key:
        return ""
    last = key.rpartition(".")[2]
    return row.param if row.param != "*" else (key if last in BY_PARAM else last)


def key_of_param(param: str) -> str:
    """The option of a parameter in the store; the parameter itself if no row names it."""
    row = BY_PARAM.get(param)
    return row.key if row else param
