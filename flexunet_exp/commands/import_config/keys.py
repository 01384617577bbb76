"""What becomes of a key: its row in a table, and the outcome with its sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flexunet_exp.config.rules import MISSING, Rule

TAKEN = "taken"
MEANT = "meant differently than it worked"
NO_EFFECT = "of no effect there"
UNSUPPORTED = "not supported"
VERDICTS = (TAKEN, MEANT, NO_EFFECT, UNSUPPORTED)


@dataclass(frozen=True)
class Outcome:
    """A verdict with its reason, and the options (`model.dilation`) or choices (`/model`) set."""

    verdict: str
    says: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Project:
    """All that a key's outcome can depend on.

    `values` has each known key's value, or the original's default; `arguments` those of the model.
    """

    values: Mapping[tuple[str, str], Any]
    faithful: bool
    model: str
    arguments: Mapping[str, Any]

    def get(self, section: str, key: str) -> Any:
        return self.values.get((section, key))


@dataclass(frozen=True)
class Key:
    """A row: what becomes of a value, which values are right, and the original's default."""

    becomes: Callable[[Any, Project], Outcome]
    rule: Rule | None = None
    default: Any = MISSING


Table = Mapping[tuple[str, str], Key]


def taken(option: str, rule: Rule | None = None, default: Any = MISSING) -> Key:
    """A key whose value is that of an option."""
    return Key(lambda value, project: Outcome(TAKEN, "", {option: value}), rule, default)


def no_effect(says: str) -> Key:
    return Key(lambda value, project: Outcome(NO_EFFECT, says))


def unsupported(says: str) -> Key:
    return Key(lambda value, project: Outcome(UNSUPPORTED, says))


def said(says: str, rule: Rule | None = None, default: Any = MISSING) -> Key:
    """A key that needs no option, because what it asks for is always so."""
    return Key(lambda value, project: Outcome(TAKEN, says), rule, default)


def argument(name: str, rule: Rule | None = None, default: Any = MISSING) -> Key:
    """A key whose value is an argument of the model, if the model has it."""
    return Key(lambda value, project: of_model(name, value, project), rule, default)


def of_model(name: str, value: Any, project: Project, says: str = "") -> Outcome:
    if name not in project.arguments:
        return Outcome(UNSUPPORTED, f"model={project.model} has no argument {name}")
    return Outcome(MEANT if says else TAKEN, says, {f"model.{name}": value})
