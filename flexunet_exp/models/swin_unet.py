"""Swin-Unet: a U-Net of Swin Transformer blocks, which attend within windows that move.

Cao et al., "Swin-Unet: Unet-like Pure Transformer for Medical Image Segmentation" (2021),
arXiv:2105.05537; the blocks: Liu et al., "Swin Transformer" (2021), arXiv:2103.14030.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from flexunet_exp.models import transformer
from flexunet_exp.models.arguments import check_network
from flexunet_exp.models.attention import WindowAttention
from flexunet_exp.models.blocks import scaled_image
from flexunet_exp.models.feature_maps import DepthToSpace, SpaceToDepth
from flexunet_exp.models.swin_unet_rules import RULES

PATCH = 4  # pixels a side
EPSILON = 1e-5  # of the authors' normalisations
EXPANSION = 4  # of the features within a perceptron


def swin_unet(
    input_shape: Sequence[int],
    num_classes: int,
    embed_dim: int = 96,
    depths: Sequence[int] = (2, 2, 2, 2),
    num_heads: Sequence[int] = (3, 6, 12, 24),
    window_sizes: Sequence[int] = (8, 8, 8, 8),
    dropout_rate: float = 0.0,
    input_scaling: str = "symmetric",
    input_dtype: str = "uint8",
) -> keras.Model:
    """Swin-Unet: images (B, H, W, channels) of `input_dtype` to logits (B, H, W, C) float32.

    Level i = 0 .. 3, the last being the bridge, has stride 4 * 2^i, embed_dim * 2^i features, and
    depths[i] blocks of num_heads[i] heads in windows of window_sizes[i] pixels, on the way down and
    on the way up; every second block moves its windows by half. H and W must divide by 32; maps of
    other sizes than whole windows are filled up (`WindowAttention`). `dropout_rate` is that of the
    perceptrons. Raises InputError with every argument that does not fit.
    """
    check_network(locals(), RULES["swin_unet"])
    bridge = len(depths) - 1

    def level(x: keras.KerasTensor, name: str, i: int) -> keras.KerasTensor:
        for number in range(depths[i]):
            attention = WindowAttention(
                num_heads[i], window_sizes[i], number % 2 == 1, name=f"{name}_block{number}_windows"
            )
            x = block(x, f"{name}_block{number}", attention, dropout_rate)
        return x

    image, x = scaled_image(input_shape[-1], input_scaling, input_dtype)
    x = layers.Conv2D(embed_dim, PATCH, strides=PATCH, name="patches")(x)
    x = transformer.normed(x, "patches", EPSILON)
    skips = []
    for i in range(bridge):
        x = level(x, f"encoder{i}", i)
        skips.append(x)
        x = merged(x, f"encoder{i}")
    x = transformer.normed(level(x, "bridge", bridge), "bridge", EPSILON)
    for i in reversed(range(bridge)):
        x = expanded(x, f"decoder{i}", 2, embed_dim * 2**i)
        x = layers.Concatenate(name=f"decoder{i}_concat")([x, skips[i]])
        x = transformer.dense(x, embed_dim * 2**i, f"decoder{i}_join")
        x = level(x, f"decoder{i}", i)
    x = transformer.normed(x, "decoder", EPSILON)
    x = expanded(x, "head", PATCH, embed_dim)
    logits = layers.Conv2D(num_classes, 1, use_bias=False, dtype="float32", name="head")(x)
    return keras.Model(image, logits, name="swin_unet")


def block(
    x: keras.KerasTensor, name: str, attention: WindowAttention, dropout_rate: float
) -> keras.KerasTensor:
    normed = transformer.normed(x, f"{name}_attention", EPSILON)
    change = transformer.attend(normed, name, attention)
    x = transformer.added(x, change, f"{name}_attended")
    normed = transformer.normed(x, f"{name}_perceptron", EPSILON)
    hidden = EXPANSION * x.shape[-1]
    change = transformer.perceptron(normed, hidden, f"{name}_perceptron", dropout_rate)
    return transformer.added(x, change, f"{name}_mixed")


def merged(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Patch merging: half the height and width, twice the features."""
    filters = x.shape[-1]
    x = SpaceToDepth(name=f"{name}_merge")(x)
    x = transformer.normed(x, f"{name}_merge", EPSILON)
    return transformer.dense(x, 2 * filters, f"{name}_reduce", use_bias=False)


def expanded(x: keras.KerasTensor, name: str, times: int, filters: int) -> keras.KerasTensor:
    """Patch expanding: `times` the height and width, with `filters` features."""
    x = transformer.dense(x, times**2 * filters, f"{name}_expand", use_bias=False)
    x = DepthToSpace(times, name=f"{name}_up")(x)
    return transformer.normed(x, f"{name}_up", EPSILON)
