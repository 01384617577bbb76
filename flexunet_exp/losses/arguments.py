"""Checks of a loss's arguments by its rules, and its class weights as a tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keras import ops

from flexunet_exp.config.rules import Rule, is_number
from flexunet_exp.errors import InputError
from flexunet_exp.losses.rules import RULES, costs_nothing


def check_arguments(loss: str, given: dict[str, Any]) -> None:
    """Raises InputError with every argument (name → value) of this loss that breaks its rule."""
    if problems := list(argument_problems(given, RULES[loss].rules)):
        raise InputError(problems)


def argument_problems(given: dict[str, Any], rules: Mapping[str, Rule]) -> Iterator[str]:
    for name, value in given.items():
        if name == "class_weights" and (problem := weights_problem(value)):
            yield problem
        if (rule := rules.get(name)) and not rule.holds(value):
            yield f"loss.{name}={value!r} must be {rule.expected}. Try loss.{name}={rule.example}"
    yield from costs_nothing("loss", given)


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
    """The weights as a tensor (C,), ones for None.

    Raises InputError unless there is one weight a class.
    """
    if class_weights is None:
        return ops.ones((num_classes,), dtype="float32")
    if len(class_weights) != num_classes:
        raise InputError(
            f"loss.class_weights has {len(class_weights)} numbers, expected {num_classes}: one for "
            "each class, background first. Try loss.class_weights=none"
        )
    return ops.convert_to_tensor(class_weights, dtype="float32")
