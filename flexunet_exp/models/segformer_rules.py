"""Rules for the arguments of SegFormer; imports no Keras, which takes seconds."""

from __future__ import annotations

from flexunet_exp.config.rules import count, share
from flexunet_exp.models.arguments import counts, divides, of_divisor

DIVISOR = 32  # the stride of the last stage

RULES = {
    "segformer": of_divisor(
        lambda _: DIVISOR,
        divides("embed_dims", "num_heads"),
        embed_dims=counts(32, 64, 160, 256),
        depths=counts(2, 2, 2, 2),
        num_heads=counts(1, 2, 5, 8),
        decoder_filters=count(256),
        dropout_rate=share(0.1),
    )
}
