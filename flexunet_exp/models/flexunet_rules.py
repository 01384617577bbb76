"""Rules for the arguments of FlexUNet; imports no Keras, which takes seconds."""

from __future__ import annotations

from typing import Any

from flexunet_exp.config.rules import Rule, count, is_int
from flexunet_exp.models.arguments import of_unet


def is_odd_kernel(value: Any) -> bool:
    return is_int(value) and value >= 3 and value % 2 == 1


RULES = {
    "flexunet": of_unet(
        base_kernel=Rule(is_odd_kernel, "an odd number of at least 3", "9"), dilation=count(1)
    )
}
