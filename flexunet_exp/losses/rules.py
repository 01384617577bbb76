"""Rules for the arguments of the losses, by class; imports no Keras, which takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

from flexunet_exp.config.rules import (
    Arguments,
    count,
    flag,
    is_number,
    not_negative,
    positive,
    share,
)

NAMED_WEIGHTS = ("none", "balanced", "effective_number")


def weights_fit(key: str, arguments: dict, settings: dict) -> Iterator[str]:
    """Class weights are a name that training resolves, or one number a class."""
    weights, count = arguments.get("class_weights", "none"), len(settings["dataset"]["classes"])
    if weights in NAMED_WEIGHTS:
        return
    fits = isinstance(weights, list) and len(weights) == count
    if not fits or not all(is_number(weight) and weight >= 0 for weight in weights):
        yield (
            f"{key}.class_weights={weights} is not none, balanced, effective_number, or a list of "
            f"{count} numbers of at least 0, one a class and the background first. Try "
            f"{key}.class_weights=none"
        )


def tversky_fits(key: str, arguments: dict, settings: dict) -> Iterator[str]:
    yield from weights_fit(key, arguments, settings)
    yield from costs_nothing(key, arguments)


def costs_nothing(key: str, arguments: dict) -> Iterator[str]:
    if arguments.get("alpha") == arguments.get("beta") == 0:
        yield f"{key}.alpha and {key}.beta are both 0: no error costs. Try {key}.beta=0.7"


CROSS_ENTROPY = {"label_smoothing": share(0.1)}
OVERLAP = {
    "smooth": not_negative(1),
    "include_background": flag(example=False),
    "pool_batches": count(4),
}
TVERSKY = {"alpha": not_negative(0.3), "beta": not_negative(0.7), **OVERLAP}
RULES = {
    "CrossEntropy": Arguments(CROSS_ENTROPY, weights_fit),
    "Focal": Arguments({"gamma": not_negative(2), **CROSS_ENTROPY}, weights_fit),
    "Dice": Arguments(OVERLAP, weights_fit),
    "Tversky": Arguments(TVERSKY, tversky_fits),
    "FocalTversky": Arguments({**TVERSKY, "gamma": positive(1.33)}, tversky_fits),
    "LovaszSoftmax": Arguments({"include_background": flag(example=False)}, weights_fit),
    "CrossEntropyDice": Arguments(
        {
            "cross_entropy_weight": not_negative(1),
            "dice_weight": not_negative(1),
            **OVERLAP,
            **CROSS_ENTROPY,
        },
        weights_fit,
    ),
}
