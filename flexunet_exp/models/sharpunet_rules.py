"""Rules for the arguments of Sharp U-Net; imports no Keras, which takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

from flexunet_exp.config.rules import at_least, between, count, flag, share
from flexunet_exp.models.arguments import dropout_problems, of_divisor, of_poolings


def fits_dropout(key: str, arguments: dict, settings: dict) -> Iterator[str]:
    levels = arguments.get("num_layers", 1)
    yield from dropout_problems(arguments.get("dropout_rate", 0), levels, key)


RULES = {
    "sharpunet": of_divisor(
        of_poolings,
        fits_dropout,
        base_filters=count(32),
        num_layers=at_least(2, example=5),
        sharpening_centre=between(8, 9, example=8),
        dropout_rate=share(0.04),
        batch_norm=flag(example=False),
    )
}
