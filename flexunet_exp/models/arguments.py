"""Rules for the arguments of a U-Net, and a message for each argument that breaks one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from flexunet_exp.config.compose import sides, size_text
from flexunet_exp.config.rules import Arguments, Rule, count, flag, is_int, one_of, share, text
from flexunet_exp.errors import InputError
from flexunet_exp.models.input_scaling import INPUT_SCALINGS

Together = Callable[[str, dict, dict], Iterable[str]]


def of_unet(**rules: Rule) -> Arguments:
    """The rules for the arguments of every U-Net; `rules` are added to them or replace them.

    The encoder halves the picture num_layers - 1 times, and level i has dropout dropout_rate * i.
    """
    return Arguments(UNET_RULES | rules, fits_picture, of_poolings)


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


def of_divisor(
    divisor: Callable[[Mapping[str, Any]], int | None], *also: Together, **rules: Rule
) -> Arguments:
    """The rules for a network whose picture must divide by `divisor` of its arguments.

    `also` are further checks of all arguments together, as `Arguments.together` describes.
    """

    def together(key: str, arguments: dict, settings: dict) -> Iterator[str]:
        for check in also:
            yield from check(key, arguments, settings)
        if step := divisor(arguments):
            yield from fits_divisor(step, settings["dataset"]["image_size"])

    return Arguments(rules | {"input_scaling": UNET_RULES["input_scaling"]}, together, divisor)


def fits_divisor(divisor: int, size: Any) -> Iterator[str]:
    fitting = tuple(math.ceil(side / divisor) * divisor for side in sides(size))
    if fitting != tuple(sides(size)):
        yield (
            f"dataset.image_size={size} must be divisible by {divisor} for this model. "
            f"Try dataset.image_size={size_text(fitting)}"
        )


def of_poolings(arguments: Mapping[str, Any]) -> int | None:
    """The divisor of a network whose num_layers levels halve the picture in between."""
    return 2 ** (arguments["num_layers"] - 1) if "num_layers" in arguments else None


def divides(whole: str, part: str) -> Together:
    """A check that one argument divides by another; lists are compared level by level."""

    def check(key: str, arguments: dict, settings: dict) -> Iterator[str]:
        wholes, parts = arguments.get(whole), arguments.get(part)
        if wholes is None or parts is None:
            return
        pairs = zip(wholes, parts, strict=True) if isinstance(wholes, list) else [(wholes, parts)]
        if wrong := [f"{one} by {other}" for one, other in pairs if one % other]:
            yield (
                f"{key}.{whole} must be divisible by {key}.{part}: "
                f"{', '.join(wrong)} is not. Try {key}.{whole}={next_multiple(wholes, parts)}"
            )

    return check


def next_multiple(wholes: Any, parts: Any) -> str:
    """The next larger multiples, as one types them."""
    if not isinstance(wholes, list):
        return str(math.ceil(wholes / parts) * parts)
    up = [math.ceil(one / other) * other for one, other in zip(wholes, parts, strict=True)]
    return f"[{','.join(map(str, up))}]"


def counts(*example: int, smallest: int = 1) -> Rule:
    """A list of as many whole numbers as the example has, each at least `smallest`."""
    return Rule(
        lambda value: (
            isinstance(value, list | tuple)
            and len(value) == len(example)
            and all(is_int(one) and one >= smallest for one in value)
        ),
        f"a list of {len(example)} whole numbers of at least {smallest}",
        f"[{','.join(map(str, example))}]",
    )


def check_network(given: dict[str, Any], arguments: Arguments) -> None:
    """Raises InputError with every argument (name → value) that breaks its rule, or the size."""
    check_values(given, arguments)
    size = list(given["input_shape"][:2])
    together = arguments.together or (lambda *_: ())
    lists = {name: list(v) if isinstance(v, tuple) else v for name, v in given.items()}
    if problems := list(together("model", lists, {"dataset": {"image_size": size}})):
        raise InputError(problems)


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
