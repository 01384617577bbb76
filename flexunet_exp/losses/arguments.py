"""What the losses' arguments must be; each check gives a sentence that says how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from flexunet_exp.config.validation.rules import is_number
from flexunet_exp.errors import InputError


def require(*problems: str | None) -> None:
    """Raises InputError with those problems that are there."""
    if found := [problem for problem in problems if problem]:
        raise InputError(found)


def weights_problem(class_weights: Any) -> str | None:
    if class_weights is None:
        return None
    values = class_weights if isinstance(class_weights, list | tuple) else [class_weights]
    wrong = [repr(value) for value in values if not is_number(value) or value < 0]
    if not wrong:
        return None
    return (
        "loss.class_weights must be none or a list of numbers of at least 0; found "
        f"{', '.join(wrong)}. Try loss.class_weights=none"
    )


def weight_vector(class_weights: Sequence[float] | None, num_classes: int) -> Any:
    """The weights as a tensor (C,), ones for None; InputError unless there is one a class."""
    if class_weights is None:
        return ops.ones((num_classes,), dtype="float32")
    if len(class_weights) != num_classes:
        raise InputError(
            f"loss.class_weights has {len(class_weights)} numbers, expected {num_classes}: one a "
            "class, the background first. Try loss.class_weights=none"
        )
    return ops.convert_to_tensor(class_weights, dtype="float32")


def negative_problem(name: str, value: Any, example: float = 1) -> str | None:
    fits = is_number(value) and value >= 0
    return None if fits else problem(name, value, "a number of at least 0", example)


def positive_problem(name: str, value: Any, example: float = 1) -> str | None:
    fits = is_number(value) and value > 0
    return None if fits else problem(name, value, "a number above 0", example)


def smoothing_problem(value: Any) -> str | None:
    fits = is_number(value) and 0 <= value < 1
    return (
        None
        if fits
        else problem("label_smoothing", value, "a number of at least 0 and below 1", 0.1)
    )


def background_problem(value: Any) -> str | None:
    fits = isinstance(value, bool)
    return None if fits else problem("include_background", value, "true or false", "false")


def problem(name: str, value: Any, expected: str, example: float | str) -> str:
    return f"loss.{name}={value!r} must be {expected}. Try loss.{name}={example}"
