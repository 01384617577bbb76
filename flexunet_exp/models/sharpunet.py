"""Sharp U-Net: a U-Net whose skips pass a fixed sharpening filter.

Zunair and Ben Hamza, "Sharp U-Net: Depthwise convolutional network for biomedical image
segmentation" (2021), arXiv:2107.12461.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from flexunet_exp.models.arguments import check_network
from flexunet_exp.models.blocks import double_conv, encoder, scaled_image
from flexunet_exp.models.sharpunet_rules import RULES


def sharpunet(
    input_shape: Sequence[int],
    num_classes: int,
    base_filters: int = 32,
    num_layers: int = 5,
    sharpening_centre: int = 8,
    dropout_rate: float = 0.0,
    batch_norm: bool = False,
    input_scaling: str = "unit",
    input_dtype: str = "uint8",
) -> keras.Model:
    """Sharp U-Net: images (B, H, W, channels) of `input_dtype` to logits (B, H, W, C) float32.

    Level i = 0 .. num_layers - 1, the last being the bridge, has two 3x3 convolutions of
    base_filters * 2^i filters and dropout dropout_rate * i. Each channel of a skip is filtered by a
    3x3 kernel with `sharpening_centre` amid eight times -1, which is not trained: 8, the paper's,
    passes edges alone, 9 the features with their edges. H and W must divide by 2^(num_layers - 1).
    Raises InputError with every argument that does not fit.
    """
    check_network(locals(), RULES["sharpunet"])

    def stage(x: keras.KerasTensor, name: str, level: int) -> keras.KerasTensor:
        return double_conv(
            x,
            name,
            filters=base_filters * 2**level,
            kernel_size=3,
            dilation=1,
            dropout_rate=dropout_rate * level,
            batch_norm=batch_norm,
            activation="relu",
        )

    image, x = scaled_image(input_shape[-1], input_scaling, input_dtype)
    x, skips = encoder(x, stage, num_layers)
    for level in reversed(range(num_layers - 1)):
        name = f"decoder{level}"
        skip = sharpened(skips[level], f"skip{level}_sharpened", sharpening_centre)
        x = layers.Conv2DTranspose(base_filters * 2**level, 2, strides=2, name=f"{name}_up")(x)
        x = layers.Concatenate(name=f"{name}_concat")([x, skip])
        x = stage(x, name, level)
    logits = layers.Conv2D(num_classes, 1, dtype="float32", name="head")(x)
    return keras.Model(image, logits, name="sharpunet")


@keras.saving.register_keras_serializable(package="flexunet_exp")
class SharpeningKernel(keras.initializers.Initializer):
    """A depthwise kernel (3, 3, F, 1): `centre` amid eight times -1, the same for each channel."""

    is_final = True  # the weights are never learned, nor taken over from another network

    def __init__(self, centre: int):
        self.centre = centre

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        kernel = np.full(shape, -1.0, np.float32)
        kernel[1, 1] = self.centre
        return keras.ops.convert_to_tensor(kernel, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {"centre": self.centre}


def sharpened(x: keras.KerasTensor, name: str, centre: int) -> keras.KerasTensor:
    """The skip (B, H, W, F), each channel filtered; the layer is not trained."""
    return layers.DepthwiseConv2D(
        3,
        padding="same",
        use_bias=False,
        depthwise_initializer=SharpeningKernel(centre),
        trainable=False,
        name=name,
    )(x)
