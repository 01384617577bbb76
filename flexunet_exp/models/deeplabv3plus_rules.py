"""Rules for the arguments of DeepLabv3+; imports no Keras, which takes seconds."""

from __future__ import annotations

from typing import Any

from flexunet_exp.config.rules import Arguments, Rule, count, is_int, share
from flexunet_exp.models.unet_rules import RULES as UNET
from flexunet_exp.models.unet_rules import divisor, fits

STRIDES = (8, 16, 32)


def is_output_stride(value: Any) -> bool:
    return is_int(value) and value in STRIDES


OF_ENCODER = {name: rule for name, rule in UNET["unet"].rules.items() if "encoder" in name}
RULES = {
    "deeplabv3plus": Arguments(
        OF_ENCODER
        | {
            "output_stride": Rule(is_output_stride, "8, 16 or 32", "16"),
            "aspp_filters": count(256),
            "fine_filters": count(48),
            "decoder_filters": count(256),
            "dropout_rate": share(0.1),
        },
        fits,
        divisor,
    )
}
