"""What the arguments of an architecture must be, and a sentence for each that is not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras

from flexunet_exp.errors import InputError
from flexunet_exp.models.blocks import INPUT_SCALINGS


class Rule(NamedTuple):
    """What must hold of an argument, the same in words, and what to type instead."""

    holds: Callable[[Any], bool]
    expected: str
    example: str


def check_arguments(arguments: dict[str, Any], rules: dict[str, Rule]) -> None:
    """Raises InputError with every argument of a U-Net (name → value) that breaks its rule.

    For encoders that halve the picture num_layers - 1 times and drop dropout_rate * i at level i.
    """
    if problems := list(argument_problems(arguments, rules)):
        raise InputError(problems)


def argument_problems(arguments: dict[str, Any], rules: dict[str, Rule]) -> Iterator[str]:
    broken = {name for name, rule in rules.items() if not rule.holds(arguments[name])}
    for name, rule in rules.items():
        if name in broken:
            found = arguments[name]
            yield (
                f"Argument `{name}` must be {rule.expected}. Received: {found!r}. "
                f"Try {rule.example}"
            )
    if not broken & {"input_shape", "num_layers"}:
        yield from size_problems(arguments["input_shape"], arguments["num_layers"])
    if not broken & {"dropout_rate", "num_layers"}:
        yield from dropout_problems(arguments["dropout_rate"], arguments["num_layers"])


def size_problems(input_shape: Sequence[int], num_layers: int) -> Iterator[str]:
    size, step = tuple(input_shape[:2]), 2 ** (num_layers - 1)
    if any(side % step for side in size):
        height, width = (math.ceil(side / step) * step for side in size)
        yield (
            f"Argument `image_size` must be divisible by {step} for num_layers={num_layers}. "
            f"Received: {size}. Try dataset.image_size=[{height},{width}]"
        )


def dropout_problems(dropout_rate: float, num_layers: int) -> Iterator[str]:
    poolings = num_layers - 1
    if dropout_rate * poolings >= 1:
        yield (
            "Argument `dropout_rate` times (num_layers - 1) must stay below 1. "
            f"Received: {dropout_rate} * {poolings}. Try model.dropout_rate={0.5 / poolings:.2g}"
        )


def at_least(smallest: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and value >= smallest


def is_shape(value: Any) -> bool:
    return isinstance(value, Sequence) and len(value) == 3 and all(map(at_least(1), value))


def is_rate(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1


def is_flag(value: Any) -> bool:
    return type(value) is bool


def is_activation(name: Any) -> bool:
    try:
        return isinstance(name, str) and callable(keras.activations.get(name))
    except ValueError:
        return False


def is_input_scaling(name: Any) -> bool:
    return isinstance(name, str) and name in INPUT_SCALINGS


COUNT = "a whole number of at least 1"
# The arguments that every U-Net takes; an architecture adds its own and tightens these.
UNET_RULES = {
    "input_shape": Rule(is_shape, "(height, width, channels)", "dataset.image_size=256"),
    "num_classes": Rule(at_least(1), COUNT, "a dataset with classes, such as dataset=zipper"),
    "base_filters": Rule(at_least(1), COUNT, "model.base_filters=16"),
    "num_layers": Rule(at_least(1), COUNT, "model.num_layers=5"),
    "dropout_rate": Rule(is_rate, "a number from 0 to below 1", "model.dropout_rate=0.04"),
    "batch_norm": Rule(is_flag, "true or false", "model.batch_norm=false"),
    "activation": Rule(is_activation, "a name of keras.activations", "model.activation=relu"),
    "input_scaling": Rule(
        is_input_scaling, f"one of {', '.join(INPUT_SCALINGS)}", "model.input_scaling=unit"
    ),
}
