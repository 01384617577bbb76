"""Rules for the arguments of TransUNet; imports no Keras, which takes seconds."""

from __future__ import annotations

from flexunet_exp.config.rules import count, share
from flexunet_exp.models.arguments import counts, divides, of_divisor

DIVISOR = 16  # the stride of the tokens

RULES = {
    "transunet": of_divisor(
        lambda _: DIVISOR,
        divides("embed_dim", "num_heads"),
        base_filters=count(64),
        blocks=counts(3, 4, 9),
        embed_dim=count(768),
        num_heads=count(12),
        num_transformer=count(12),
        mlp_dim=count(3072),
        decoder_filters=counts(256, 128, 64, 16),
        dropout_rate=share(0.1),
    )
}
