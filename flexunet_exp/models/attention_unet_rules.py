"""Rules for the arguments of the Attention U-Net; imports no Keras, which takes seconds."""

from __future__ import annotations

from flexunet_exp.config.rules import at_least
from flexunet_exp.models.arguments import of_unet

WITH_A_GATE = "a whole number of at least 3 (with fewer there is no skip to gate)"
RULES = {
    "attention_unet": of_unet(num_layers=at_least(3, example=5)._replace(expected=WITH_A_GATE))
}
