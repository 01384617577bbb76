"""TransUNet: a vision transformer over the features of a residual network, and a U-Net's decoder.

Chen et al., "TransUNet: Transformers Make Strong Encoders for Medical Image Segmentation" (2021),
arXiv:2102.04306. The residual network is the ResNet-v2 of Kolesnikov et al., "Big Transfer" (2020),
arXiv:1912.11370; the transformer: Dosovitskiy et al. (2020), arXiv:2010.11929.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from flexunet_exp.models import transformer
from flexunet_exp.models.arguments import check_network
from flexunet_exp.models.attention import Attention
from flexunet_exp.models.blocks import conv_norm, enlarged, scaled_image
from flexunet_exp.models.feature_maps import PositionEmbedding
from flexunet_exp.models.transunet_rules import RULES

STRIDE = 16  # of the tokens
EPSILON = 1e-6  # of the authors' normalisations


def transunet(
    input_shape: Sequence[int],
    num_classes: int,
    base_filters: int = 64,
    blocks: Sequence[int] = (3, 4, 9),
    embed_dim: int = 768,
    num_heads: int = 12,
    num_transformer: int = 12,
    mlp_dim: int = 3072,
    decoder_filters: Sequence[int] = (256, 128, 64, 16),
    dropout_rate: float = 0.1,
    input_scaling: str = "symmetric",
    input_dtype: str = "uint8",
) -> keras.Model:
    """TransUNet: images (B, H, W, channels) of `input_dtype` to logits (B, H, W, C) float32.

    The defaults are those of R50-ViT-B/16. A residual network of `blocks` blocks at strides 4, 8
    and 16 gives (H / 16) * (W / 16) tokens of `embed_dim` features, which pass `num_transformer`
    blocks with heads of embed_dim / num_heads features. The decoder's levels have
    `decoder_filters`, coarsest first. H and W must divide by 16; the learned positions are those of
    the size of `input_shape`, and are interpolated for others. `dropout_rate` is that of the
    transformer. Raises InputError with every argument that does not fit.
    """
    check_network(locals(), RULES["transunet"])
    image, x = scaled_image(input_shape[-1], input_scaling, input_dtype)
    x, skips = residual_network(x, base_filters, blocks)
    x = layers.Conv2D(embed_dim, 1, name="tokens")(x)
    grid = (input_shape[0] // STRIDE, input_shape[1] // STRIDE)
    x = PositionEmbedding(grid, name="positions")(x)
    x = transformer.dropped(x, "positions", dropout_rate)
    for number in range(num_transformer):
        x = block(x, f"transformer{number}", num_heads, mlp_dim, dropout_rate)
    x = transformer.normed(x, "transformer", EPSILON)
    x = conv_norm(x, "bridge", 2 * decoder_filters[0], use_bias=False)
    for level, filters in enumerate(decoder_filters):
        x = enlarged(x, 2, f"decoder{level}")
        if level < len(skips):
            x = layers.Concatenate(name=f"decoder{level}_concat")([x, skips[level]])
        for index in (1, 2):
            x = conv_norm(x, f"decoder{level}_{index}", filters, use_bias=False)
    logits = layers.Conv2D(num_classes, 3, padding="same", dtype="float32", name="head")(x)
    return keras.Model(image, logits, name="transunet")


def block(
    x: keras.KerasTensor, name: str, num_heads: int, hidden: int, dropout_rate: float
) -> keras.KerasTensor:
    normed = transformer.normed(x, f"{name}_attention", EPSILON)
    change = transformer.attend(normed, name, Attention(num_heads, name=f"{name}_heads"))
    change = transformer.dropped(change, f"{name}_attention", dropout_rate)
    x = transformer.added(x, change, f"{name}_attended")
    normed = transformer.normed(x, f"{name}_perceptron", EPSILON)
    change = transformer.perceptron(normed, hidden, f"{name}_perceptron", dropout_rate)
    return transformer.added(x, change, f"{name}_mixed")


def residual_network(
    x: keras.KerasTensor, width: int, blocks: Sequence[int]
) -> tuple[keras.KerasTensor, list[keras.KerasTensor]]:
    """Features of stride 16, and the skips of strides 8, 4 and 2."""
    x = conv(x, "root", width, 7, 2)
    x = group_normed(x, "root")
    skips = [x]
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="root_pool")(x)
    for index, number in enumerate(blocks):
        for place in range(number):
            stride = 2 if index and not place else 1
            x = bottleneck(x, f"stage{index}_block{place}", width * 2**index, stride)
        skips.insert(0, x)
    return x, skips[1:]


def bottleneck(x: keras.KerasTensor, name: str, width: int, stride: int) -> keras.KerasTensor:
    """1x1, 3x3 and 1x1 convolutions to four times the width, plus x."""
    outer = 4 * width
    shortcut = x
    if stride > 1 or x.shape[-1] != outer:
        shortcut = conv(x, f"{name}_shortcut", outer, 1, stride)
        shortcut = group_normed(shortcut, f"{name}_shortcut", outer, activate=False)
    for index, (filters, kernel, step) in enumerate([(width, 1, 1), (width, 3, stride)], start=1):
        x = group_normed(conv(x, f"{name}_{index}", filters, kernel, step), f"{name}_{index}")
    x = group_normed(conv(x, f"{name}_3", outer, 1, 1), f"{name}_3", activate=False)
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    return layers.Activation("relu", name=f"{name}_relu")(x)


def conv(
    x: keras.KerasTensor, name: str, filters: int, kernel_size: int, stride: int
) -> keras.KerasTensor:
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def group_normed(
    x: keras.KerasTensor, name: str, groups: int | None = None, activate: bool = True
) -> keras.KerasTensor:
    """Group normalisation (of 32 groups, or as many as their common divisor), then ReLU."""
    filters = x.shape[-1]
    groups = groups or next(
        number for number in range(min(32, filters), 0, -1) if not filters % number
    )
    x = layers.GroupNormalization(groups, epsilon=EPSILON, name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_norm_relu")(x) if activate else x
