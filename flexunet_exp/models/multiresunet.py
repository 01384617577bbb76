"""MultiResUNet: blocks of three chained convolutions of growing width, and skips that convolve.

Ibtehaz and Rahman, "MultiResUNet: Rethinking the U-Net architecture for multimodal biomedical image
segmentation" (2020), arXiv:1902.04049.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from flexunet_exp.models.arguments import check_network
from flexunet_exp.models.blocks import NORM_MOMENTUM, conv_norm, encoder, scaled_image
from flexunet_exp.models.multiresunet_rules import RULES

SHARES = (0.167, 0.333, 0.5)  # of a block's width, for its three convolutions: the authors'


def multiresunet(
    input_shape: Sequence[int],
    num_classes: int,
    base_filters: int = 32,
    num_layers: int = 5,
    alpha: float = 1.67,
    input_scaling: str = "unit",
    input_dtype: str = "uint8",
) -> keras.Model:
    """MultiResUNet: images (B, H, W, channels) of `input_dtype` to logits (B, H, W, C) float32.

    Level i = 0 .. num_layers - 1, the last being the bridge, has a MultiRes block of the width
    alpha * base_filters * 2^i. Its skip passes num_layers - 1 - i residual convolutions of
    base_filters * 2^i filters. H and W must divide by 2^(num_layers - 1). Raises InputError with
    every argument that does not fit.
    """
    check_network(locals(), RULES["multiresunet"])

    def block(x: keras.KerasTensor, name: str, level: int) -> keras.KerasTensor:
        return multires_block(x, name, alpha * base_filters * 2**level)

    image, x = scaled_image(input_shape[-1], input_scaling, input_dtype)
    x, skips = encoder(x, block, num_layers)
    for level in reversed(range(num_layers - 1)):
        name, filters = f"decoder{level}", base_filters * 2**level
        skip = res_path(skips[level], f"skip{level}", filters, num_layers - 1 - level)
        x = layers.Conv2DTranspose(filters, 2, strides=2, name=f"{name}_up")(x)
        x = layers.Concatenate(name=f"{name}_concat")([x, skip])
        x = block(x, name, level)
    logits = layers.Conv2D(num_classes, 1, dtype="float32", name="head")(x)
    return keras.Model(image, logits, name="multiresunet")


def multires_block(x: keras.KerasTensor, name: str, width: float) -> keras.KerasTensor:
    """Three chained 3x3 convolutions, all of their outputs together, plus a 1x1 convolution of x.

    The chain sees 3x3, 5x5 and 7x7 pixels (the paper's figure 3).
    """
    filters = [int(width * share) for share in SHARES]
    shortcut = conv(x, f"{name}_shortcut", sum(filters), 1, None)
    maps = []
    for index, number in enumerate(filters, start=1):
        x = conv(x, f"{name}_{index}", number, 3, "relu")
        maps.append(x)
    x = layers.Concatenate(name=f"{name}_maps")(maps)
    x = norm(x, f"{name}_maps_norm")
    return added(x, shortcut, name)


def res_path(x: keras.KerasTensor, name: str, filters: int, length: int) -> keras.KerasTensor:
    """`length` 3x3 convolutions, each plus a 1x1 convolution of the same (the paper's figure 4)."""
    for index in range(1, length + 1):
        shortcut = conv(x, f"{name}_{index}_shortcut", filters, 1, None)
        x = added(conv(x, f"{name}_{index}", filters, 3, "relu"), shortcut, f"{name}_{index}_sum")
    return x


def added(x: keras.KerasTensor, shortcut: keras.KerasTensor, name: str) -> keras.KerasTensor:
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    x = layers.Activation("relu", name=f"{name}_add_relu")(x)
    return norm(x, f"{name}_add_norm")


def conv(
    x: keras.KerasTensor, name: str, filters: int, kernel_size: int, activation: str | None
) -> keras.KerasTensor:
    return conv_norm(
        x, name, filters, kernel_size, activation=activation, use_bias=False, scale=False
    )


def norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(momentum=NORM_MOMENTUM, name=name)(x)
