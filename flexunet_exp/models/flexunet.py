"""FlexUNet: a U-Net whose kernels and dilations are large at full resolution and shrink with depth.

The encoder-decoder with skips is that of Ronneberger et al., "U-Net" (2015), arXiv:1505.04597.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from flexunet_exp.models.arguments import check_arguments
from flexunet_exp.models.blocks import double_conv, encoder, scaled_image
from flexunet_exp.models.flexunet_rules import RULES


def flexunet(
    input_shape: Sequence[int],
    num_classes: int,
    base_filters: int = 16,
    base_kernel: int = 9,
    num_layers: int = 8,
    dropout_rate: float = 0.04,
    dilation: int = 1,
    batch_norm: bool = False,
    activation: str = "relu",
    input_scaling: str = "unit",
    input_dtype: str = "uint8",
) -> keras.Model:
    """FlexUNet for images (B, H, W, channels) of `input_dtype`, giving logits (B, H, W, C) float32.

    Level i = 0 .. num_layers - 1, the last being the bridge, has base_filters * 2^i filters, kernel
    max(base_kernel - 2i, 3), dilation max(dilation - i, 1) and dropout dropout_rate * i. Of
    `input_shape` (H, W, channels) only the channels are fixed: any H and W divisible by
    2^(num_layers - 1) will do later. `input_dtype` is uint8 or uint16, whose largest value is
    white. Raises InputError with every argument that does not fit.
    """
    check_arguments(locals(), RULES["flexunet"])

    def stage(x: keras.KerasTensor, name: str, level: int) -> keras.KerasTensor:
        return double_conv(
            x,
            name,
            filters=base_filters * 2**level,
            kernel_size=max(base_kernel - 2 * level, 3),
            dilation=max(dilation - level, 1),
            dropout_rate=dropout_rate * level,
            batch_norm=batch_norm,
            activation=activation,
        )

    image, x = scaled_image(input_shape[-1], input_scaling, input_dtype)
    x, skips = encoder(x, stage, num_layers)

    # Decoder
    for level in reversed(range(num_layers - 1)):
        name = f"decoder{level}"
        x = layers.Conv2DTranspose(base_filters * 2**level, 2, strides=2, name=f"{name}_up")(x)
        x = layers.Concatenate(name=f"{name}_concat")([x, skips[level]])
        x = stage(x, name, level)

    # Head
    logits = layers.Conv2D(num_classes, 1, dtype="float32", name="head")(x)
    return keras.Model(image, logits, name="flexunet")
