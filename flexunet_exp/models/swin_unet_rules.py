"""Rules for the arguments of Swin-Unet; imports no Keras, which takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

from flexunet_exp.config.rules import count, share
from flexunet_exp.models.arguments import counts, of_divisor

DIVISOR = 32  # the stride of the bridge


def fits_heads(key: str, arguments: dict, settings: dict) -> Iterator[str]:
    """The features of each level must divide by its heads."""
    embed_dim, num_heads = arguments.get("embed_dim"), arguments.get("num_heads")
    if embed_dim is None or num_heads is None:
        return
    dims = [embed_dim * 2**level for level in range(len(num_heads))]
    wrong = [f"{dim} by {heads}" for dim, heads in zip(dims, num_heads, strict=True) if dim % heads]
    if wrong:
        yield (
            f"{key}.embed_dim={embed_dim} gives the levels {', '.join(map(str, dims))} features, "
            f"which must divide by {key}.num_heads: {', '.join(wrong)} does not. "
            f"Try {key}.embed_dim=96 '{key}.num_heads=[3,6,12,24]'"
        )


RULES = {
    "swin_unet": of_divisor(
        lambda _: DIVISOR,
        fits_heads,
        embed_dim=count(96),
        depths=counts(2, 2, 2, 2),
        num_heads=counts(3, 6, 12, 24),
        window_sizes=counts(8, 8, 8, 8, smallest=2),
        dropout_rate=share(0.1),
    )
}
