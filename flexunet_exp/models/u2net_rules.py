"""Rules for the arguments of U²-Net; imports no Keras, which takes seconds."""

from __future__ import annotations

from flexunet_exp.config.rules import at_least, count
from flexunet_exp.models.arguments import of_divisor

DIVISOR = 32  # five poolings lead to the sixth stage, and within the first one to its bottom

RULES = {
    "u2net": of_divisor(lambda _: DIVISOR, base_filters=at_least(4, example=64)),
    "u2netp": of_divisor(lambda _: DIVISOR, base_filters=count(64), inner_filters=count(16)),
}
