"""Rules for the arguments of UNet 3+; imports no Keras, which takes seconds."""

from __future__ import annotations

from flexunet_exp.config.rules import at_least, count, flag, share
from flexunet_exp.models.arguments import of_divisor, of_poolings

RULES = {
    "unet3plus": of_divisor(
        of_poolings,
        base_filters=count(64),
        num_layers=at_least(2, example=5),
        dropout_rate=share(0.1),
        classification_guided=flag(example=False),
    )
}
