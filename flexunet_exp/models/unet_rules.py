"""Rules for the arguments of the U-Net over an encoder; imports no Keras, which takes seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flexunet_exp.config.compose import sides, size_text
from flexunet_exp.config.rules import (
    Arguments,
    Rule,
    at_least,
    count,
    is_int,
    is_text,
    one_of,
    or_null,
    positive,
    share,
)
from flexunet_exp.models.arguments import next_that_divides

TRAINABLE = ("all", "last_stages", "no_batch_norm", "frozen")
NORMALISATIONS = ("batch", "group", "none")
LEVELS = 6  # a size must divide by 32, the stride of the coarsest features


def is_output_stride(value: Any) -> bool:
    return is_int(value) and value in (1, 2, 4, 8)


def is_encoder(value: Any) -> bool:
    return isinstance(value, dict) and is_text(value.get("_target_"))


def is_weights(value: Any) -> bool:
    return value is None or is_text(value)


def fits_picture(key: str, arguments: dict, settings: dict) -> Iterator[str]:
    """Both sides of what the network sees must divide by 32; patches are resized to it too."""
    size = settings["dataset"]["image_size"]
    if fitting := next_that_divides(sides(size), LEVELS):
        yield (
            f"dataset.image_size={size} must be divisible by 32, the encoder's largest stride. "
            f"Try dataset.image_size={size_text(fitting)}"
        )


def fits_epochs(key: str, arguments: dict, settings: dict) -> Iterator[str]:
    """An encoder that is trained from a later epoch on is trained at all."""
    first, epochs = arguments.get("encoder_from_epoch", 0), settings["trainer"]["epochs"]
    if not first:
        return
    given = f"{key}.encoder_from_epoch={first}"
    if arguments.get("encoder_trainable", "frozen") == "frozen":
        yield (
            f"{given}: a frozen encoder is trained in no epoch. Add "
            f"{key}.encoder_trainable=no_batch_norm, or leave encoder_from_epoch out"
        )
    elif first >= epochs:
        yield (
            f"{given} must be below trainer.epochs={epochs}: the encoder would never be trained. "
            f"Try {key}.encoder_from_epoch={epochs // 3}"
        )


def divisor(arguments: Mapping[str, Any]) -> int:
    """The stride of the coarsest features."""
    return 2 ** (LEVELS - 1)


def fits(key: str, arguments: dict, settings: dict) -> Iterator[str]:
    yield from fits_picture(key, arguments, settings)
    yield from fits_epochs(key, arguments, settings)


RULES = {
    "unet": Arguments(
        {
            "encoder": Rule(
                is_encoder, "an encoder by its yaml", "efficientnet_lite0 (model/encoder=…)"
            ),
            "encoder_weights": Rule(is_weights, "null, imagenet, or a weights file", "imagenet"),
            "encoder_trainable": one_of(*TRAINABLE, example="frozen"),
            "encoder_rate": positive(0.1),
            "encoder_from_epoch": at_least(0, example=5),
            "output_stride": Rule(is_output_stride, "1, 2, 4 or 8", "4"),
            "decoder_filters": count(32),
            "skip_filters": or_null(count(32)),
            "normalisation": one_of(*NORMALISATIONS),
            "dropout_rate": share(0.1),
        },
        fits,
        divisor,
    )
}
