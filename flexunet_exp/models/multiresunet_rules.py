"""Rules for the arguments of MultiResUNet; imports no Keras, which takes seconds."""

from __future__ import annotations

from flexunet_exp.config.rules import at_least, number
from flexunet_exp.models.arguments import of_divisor, of_poolings

RULES = {
    "multiresunet": of_divisor(
        of_poolings,
        base_filters=at_least(4, example=32),  # with fewer a convolution would have no filter
        num_layers=at_least(2, example=5),
        alpha=number(lambda value: value >= 1.5, "of at least 1.5", 1.67),
    )
}
