"""The type of a transform, and its settings: numbers, or ranges that each picture draws from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np

from flexunet_exp.config.rules import is_number
from flexunet_exp.errors import InputError

Pair = tuple[np.ndarray, np.ndarray]
Range = float | Sequence[float]

# Settings in pixels mean pixels of a picture whose shorter side is this long (the original
# program's size), so that they have the same effect at any `dataset.image_size`.
REFERENCE_SIDE = 512


class Transform(Protocol):
    """The interface that `augment` needs: a probability, and a function of the pair."""

    @property
    def probability(self) -> float: ...

    def __call__(
        self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator
    ) -> Pair: ...


def within(least: float, most: float, default: Range) -> Any:
    """A field that holds a number, or a range [low, high] to draw from, in least..most."""
    return field(default=default, metadata={"least": least, "most": most})


def one_of(*choices: str) -> Any:
    """A field that holds one of the words; the first is its default."""
    return field(default=choices[0], metadata={"choices": choices})


def chance(default: float) -> Any:
    """The field `probability`, where a class has another default than one half."""
    return field(default=default, metadata={"chance": True})


@dataclass(frozen=True)
class Checked(ABC):
    """A transform that checks its settings; InputError with every wrong setting.

    `probability` is the share of pictures that it is applied to.
    """

    probability: float = chance(0.5)

    def __post_init__(self) -> None:
        name = type(self).__name__
        found = [(f.name, getattr(self, f.name), f.metadata) for f in fields(self) if f.metadata]
        wrong = [(key, value, expected(value, rule)) for key, value, rule in found]
        if any(mend for _, _, mend in wrong):
            raise InputError(
                [f"{name}: {key}={value!r} is not {mend}." for key, value, mend in wrong if mend]
            )

    @abstractmethod
    def __call__(self, image: np.ndarray, mask: np.ndarray, generator: np.random.Generator) -> Pair:
        """Image (H, W, N) uint8 or uint16 and mask (H, W) uint8, transformed; inputs stay as is."""


def expected(value: Any, rule: Any) -> str | None:
    """The expected value of a setting in words; None where the value is valid."""
    if "choices" in rule:
        return None if value in rule["choices"] else " or ".join(rule["choices"])
    if "chance" in rule:
        return None if is_number(value) and 0 <= value <= 1 else "a number from 0 to 1"
    least, most = rule["least"], rule["most"]
    ends = list(value) if isinstance(value, (list, tuple)) else [value, value]
    fits = len(ends) == 2 and all(map(is_number, ends)) and least <= ends[0] <= ends[1] <= most
    return None if fits else f"a number from {least} to {most}, or two as [low, high]"


class Draws(np.random.Generator):
    """A stream of random numbers that records the values drawn for a transform's settings.

    What a transform took from other pictures is recorded too; all of it is as JSON can hold it.
    """

    def __init__(self, key: Sequence[int]):
        super().__init__(np.random.PCG64(list(key)))  # the numbers of default_rng
        self.values: dict[str, Any] = {}


def record(generator: np.random.Generator, **values: Any) -> None:
    """Records drawn values where the generator is a `Draws`, as in `traced`."""
    if isinstance(generator, Draws):
        generator.values |= values


def drawn(name: str, value: Range, generator: np.random.Generator) -> float:
    """The number itself, or one drawn uniformly from the range; recorded under `name`."""
    number = uniform(value, generator)
    record(generator, **{name: number})
    return number


def uniform(value: Range, generator: np.random.Generator) -> float:
    """The number itself, or one drawn uniformly from the range."""
    low, high = value if isinstance(value, Sequence) else (value, value)
    return float(generator.uniform(low, high))


def scale(height: int, width: int) -> float:
    """The pixels of a picture for one pixel of the settings."""
    return min(height, width) / REFERENCE_SIDE
