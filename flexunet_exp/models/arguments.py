"""Rules for the arguments of a U-Net, and a message for each argument that breaks one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from flexunet_exp.config.compose import sides, size_text
from flexunet_exp.config.rules import Arguments, Rule, count, flag, is_int, one_of, share, text
from flexunet_exp.errors import InputError
from flexunet_exp.models.input_scaling import INPUT_SCALINGS


def of_unet(**rules: Rule) -> Arguments:
    """The rules for the arguments of every U-Net; `rules` are added to them or replace them.

    The encoder halves the picture num_layers - 1 times, and level i has dropout dropout_rate * i.
    """
    return Arguments(UNET_RULES | rules, fits_picture)


def fits_picture(key: str, arguments: dict, settings: dict) -> Iterator[str]:
    """Each level below the first halves the picture: both sides must divide by 2^(levels - 1)."""
    if "num_layers" not in arguments:
        return
    levels, size = arguments["num_layers"], settings["dataset"]["image_size"]
    if fitting := next_that_divides(sides(size), levels):
        yield (
            f"dataset.image_size={size} must be divisible by {2 ** (levels - 1)} for "
            f"{key}.num_layers={levels}. Try dataset.image_size={size_text(fitting)}, or fewer "
            "layers"
        )
    yield from dropout_problems(arguments.get("dropout_rate", 0), levels, key)


def next_that_divides(size: Sequence[int], levels: int) -> tuple[int, ...] | None:
    """The next larger sides that divide by 2^(levels - 1); None where `size` divides already."""
    step = 2 ** (levels - 1)
    fitting = tuple(math.ceil(side / step) * step for side in size)
    return fitting if fitting != tuple(size) else None


def dropout_problems(dropout_rate: float, levels: int, key: str = "model") -> Iterator[str]:
    poolings = levels - 1
    if dropout_rate * poolings >= 1:
        yield (
            f"{key}.dropout_rate times (num_layers - 1) must stay below 1. "
            f"Received: {dropout_rate} * {poolings}. Try {key}.dropout_rate={0.5 / poolings:.2g}"
        )


def check_arguments(given: dict[str, Any], arguments: Arguments) -> None:
    """Raises InputError with every argument of a U-Net (name → value) that breaks its rule."""
    if problems := list(argument_problems(given, {**FROM_PROGRAM, **arguments.rules})):
        raise InputError(problems)


def check_values(given: dict[str, Any], arguments: Arguments) -> None:
    """Raises InputError with every argument (name → value) that breaks its own rule."""
    problems = [
        rule.problem(f"model.{name}", given[name]) for name, rule in arguments.rules.items()
    ]
    if found := [problem for problem in problems if problem]:
        raise InputError(found)


def argument_problems(given: dict[str, Any], rules: dict[str, Rule]) -> Iterator[str]:
    broken = {name for name, rule in rules.items() if not rule.holds(given[name])}
    if "activation" not in broken and not is_activation(given["activation"]):
        broken.add("activation")
    for name in rules:
        if name in broken:
            rule = rules[name]
            instead = INSTEAD.get(name, f"model.{name}={rule.example}")
            yield (
                f"Argument `{name}` must be {rule.expected}. Received: {given[name]!r}. "
                f"Try {instead}"
            )
    if not broken & {"input_shape", "num_layers"}:
        yield from size_problems(given["input_shape"], given["num_layers"])
    if not broken & {"dropout_rate", "num_layers"}:
        yield from dropout_problems(given["dropout_rate"], given["num_layers"])


def size_problems(input_shape: Sequence[int], levels: int) -> Iterator[str]:
    size = tuple(input_shape[:2])
    if fitting := next_that_divides(size, levels):
        height, width = fitting
        yield (
            f"Argument `image_size` must be divisible by {2 ** (levels - 1)} for "
            f"num_layers={levels}. Received: {size}. Try dataset.image_size=[{height},{width}]"
        )


def is_shape(value: Any) -> bool:
    fits = isinstance(value, Sequence) and len(value) == 3
    return fits and all(is_int(side) and side >= 1 for side in value)


def is_activation(name: str) -> bool:
    """Whether Keras knows an activation of this name; imports Keras."""
    import keras

    try:
        return callable(keras.activations.get(name))
    except ValueError:
        return False


UNET_RULES = {
    "base_filters": count(16),
    "num_layers": count(5),
    "dropout_rate": share(0.04),
    "batch_norm": flag(example=False),
    "activation": text("a name of keras.activations", "relu"),
    "input_scaling": one_of(*INPUT_SCALINGS, example="unit"),
}
# Arguments that the program itself passes; INSTEAD says what to type to change them.
FROM_PROGRAM = {
    "input_shape": Rule(is_shape, "(height, width, channels)", ""),
    "num_classes": count(),
}
INSTEAD = {
    "input_shape": "dataset.image_size=256",
    "num_classes": "a dataset with classes, such as dataset=zipper",
}
