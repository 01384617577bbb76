"""Options of how a network is trained."""

from __future__ import annotations

from typing import Any

from flexunet_exp.config.options.row import ROUNDING, WEIGHTS, Option
from flexunet_exp.config.rules import (
    Rule,
    at_least,
    count,
    count_or,
    flag,
    is_number,
    memory_size,
    one_of,
    or_null,
)


def is_weights(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(is_number(one) and one >= 0 for one in values) and any(values)


ROWS = (
    Option(
        "trainer.epochs",
        "passes over the training pictures",
        count(60),
        WEIGHTS,
        minutes=True,
        param="epochs",
    ),
    Option(
        "trainer.batch_size",
        "pictures or patches in a step; auto: the largest power of two that trainer.memory has "
        "room for",
        count_or("auto", example=4),
        WEIGHTS,
        minutes=True,
        param="batch_size",
    ),
    Option(
        "trainer.memory",
        "memory that batch_size=auto may fill; null: 80 % of what this machine, or its GPU, has",
        or_null(memory_size("8GB")),
        optional=True,
    ),
    Option(
        "trainer.valid_batch_size",
        "pictures or patches in a step of validation; the validation loss depends on it",
        count(4),
        WEIGHTS,
        param="valid_batch_size",
        optional=True,
    ),
    Option(
        "trainer.seed",
        "seed of initial weights, order, augmentation and dropout",
        at_least(0, example=0),
        WEIGHTS,
        repeats=True,
        param="seed",
    ),
    Option(
        "trainer.precision",
        "number format of the training; auto: the faster of float32 and mixed_bfloat16, measured "
        "once on a machine",
        one_of("float32", "mixed_bfloat16", "mixed_float16", "auto"),
        WEIGHTS,
        minutes=True,
        param="precision",
    ),
    Option(
        "trainer.threads",
        "threads of a run; null: all cores of the machine, or the part of one of several runs",
        or_null(count(2)),
        ROUNDING,
        minutes=True,
        param="threads",
    ),
    Option(
        "trainer.deterministic",
        "bit-identical weights at equal threads, somewhat slower",
        flag(example=False),
        WEIGHTS,
        minutes=True,
        param="deterministic",
    ),
    Option(
        "trainer.strategy",
        "mirrored trains on all GPUs; auto does so where there are several",
        one_of("auto", "mirrored"),
        WEIGHTS,
        minutes=True,
        param="strategy",
        optional=True,
    ),
    Option(
        "trainer.deep_supervision",
        "weight of the loss of each of a model's side outputs: null, one for all, or one each, "
        "finest first",
        or_null(
            Rule(is_weights, "a number of at least 0, or a list of such numbers, not all 0", "1.0")
        ),
        WEIGHTS,
        minutes=True,
        param="deep_supervision",
        optional=True,
    ),
    Option(
        "trainer.save_every",
        "epochs between two states from which a run that was cut off goes on",
        count(1),
        param="save_every",
        optional=True,
    ),
    Option(
        "trainer.resume",
        "auto: the same command goes on with a run that was cut off; never: it begins a new run",
        one_of("auto", "never"),
        param="resume",
        optional=True,
    ),
    Option(
        "trainer.keep_state",
        "keeps the last state; the same command with more epochs goes on from it in a new run",
        flag(example=False),
        param="keep_state",
        optional=True,
    ),
    Option(
        "trainer.profile",
        "measures where the time of an epoch goes",
        flag(example=False),
        param="profile",
        optional=True,
    ),
)
