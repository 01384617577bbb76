"""Learning rates: functions of the optimizer's step alone, so that a resumed run is exact."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Any

import keras

from flexunet_exp.errors import InputError

log = logging.getLogger(__name__)


def constant(learning_rate: float) -> float:
    """The same learning rate (above 0) at every step. Raises InputError for another value."""
    require_valid(learning_rate=learning_rate)
    return float(learning_rate)


def cosine(
    learning_rate: float,
    steps_per_epoch: int,
    epochs: int,
    warmup_epochs: float = 3,
    final_fraction: float = 0.01,
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Linear warm-up to `learning_rate`, then half a cosine down to learning_rate * final_fraction.

    Of N = steps_per_epoch * epochs steps the first W = warmup_epochs * steps_per_epoch, rounded,
    have learning_rate * (k + 1) / (W + 1) at step k = 0 .. W - 1, so that no step has the rate 0.
    Step W has `learning_rate`. Step N - 1 and any step after it have the smallest rate. Source:
    Loshchilov and Hutter, "SGDR" (2017), arXiv:1608.03983, without restarts. A
    warm-up that leaves the cosine fewer than two steps becomes a tenth of the training, with a
    warning. Raises InputError for values out of range.
    """
    require_valid(
        learning_rate=learning_rate,
        steps_per_epoch=steps_per_epoch,
        epochs=epochs,
        warmup_epochs=warmup_epochs,
        final_fraction=final_fraction,
    )
    steps = steps_per_epoch * epochs
    warmup_steps = with_room(steps, round(warmup_epochs * steps_per_epoch), warmup_epochs)
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / (warmup_steps + 1),
        decay_steps=max(steps - 1 - warmup_steps, 1),
        alpha=final_fraction,
        warmup_target=learning_rate,
        warmup_steps=warmup_steps,
    )


def with_room(steps: int, warmup_steps: int, warmup_epochs: float) -> int:
    """The steps of the warm-up; a tenth of the training where it leaves no room for the cosine."""
    if warmup_steps == 0 or steps - warmup_steps >= 2:
        return warmup_steps
    log.warning(
        "schedule.warmup_epochs=%s takes %d of the training's %d steps, and the cosine needs at "
        "least two. The warm-up is shortened to a tenth of the training, %d steps.",
        *(warmup_epochs, warmup_steps, steps, round(steps / 10)),
    )
    return round(steps / 10)


def require_valid(**values: Any) -> None:
    """Raises InputError with every value that is out of its range."""
    if problems := list(value_problems(values)):
        raise InputError(problems)


def value_problems(values: dict[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        key, holds, expected, example = RANGES[name]
        if not (is_number(value) and holds(value)):
            yield f"{key}={value!r} must be {expected}. Try {key}={example}"


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


# Argument → its key in the configuration, the check, the check in words, an example.
RANGES = {
    "learning_rate": ("optimizer.learning_rate", lambda x: x > 0, "a number above 0", "1e-3"),
    "steps_per_epoch": ("steps_per_epoch", is_count, "a whole number of at least 1", "1"),
    "epochs": ("trainer.epochs", is_count, "a whole number of at least 1", "60"),
    "warmup_epochs": ("schedule.warmup_epochs", lambda x: x >= 0, "a number of at least 0", "3"),
    "final_fraction": (
        "schedule.final_fraction",
        lambda x: 0 <= x <= 1,
        "a number from 0 to 1",
        "0.01",
    ),
}
