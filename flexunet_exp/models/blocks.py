"""Parts that the U-Nets share: the scaled input, the contracting path, the pair of convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from flexunet_exp.models.input_scaling import INPUT_SCALINGS

# An epoch of a small data set has few steps: with Keras's 0.99 the running statistics would lag a
# hundred steps behind the weights, and validation would score another network than the trained one.
NORM_MOMENTUM = 0.9
WHITE = {"uint8": 255, "uint16": 65535}  # the largest value of an image


def scaled_image(
    channels: int, input_scaling: str, dtype: str
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The model's input (B, H, W, channels) of uint8 or uint16, any H and W, and the same scaled.

    An image of uint16 is scaled to the same range as one of uint8.
    """
    image = keras.Input((None, None, channels), dtype=dtype, name="image")
    scale, offset = INPUT_SCALINGS[input_scaling]
    scale /= WHITE[dtype] / WHITE["uint8"]
    # In float32, because a bfloat16 product would lose grey levels.
    return image, layers.Rescaling(scale, offset, dtype="float32", name="scaling")(image)


def encoder(
    x: keras.KerasTensor, stage: Callable[..., keras.KerasTensor], num_layers: int
) -> tuple[keras.KerasTensor, list[keras.KerasTensor]]:
    """Runs `stage(x, name, level)` at each level, halving in between: the bridge and the skips.

    The skips are the outputs of levels 0 .. num_layers - 2, finest first.
    """
    skips = []
    for level in range(num_layers - 1):
        x = stage(x, f"encoder{level}", level)
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"encoder{level}_pool")(x)
    return stage(x, "bridge", num_layers - 1), skips


def double_conv(
    x: keras.KerasTensor,
    name: str,
    filters: int,
    kernel_size: int,
    dilation: int,
    dropout_rate: float,
    batch_norm: bool,
    activation: str,
) -> keras.KerasTensor:
    """Two convolutions with activation, each with batch norm if asked, and dropout in between."""
    for index in (1, 2):
        x = layers.Conv2D(
            filters,
            kernel_size,
            dilation_rate=dilation,
            padding="same",
            activation=activation,
            kernel_initializer="he_normal",
            name=f"{name}_conv{index}",
        )(x)
        if batch_norm:
            x = layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_norm{index}")(x)
        if index == 1 and dropout_rate > 0:
            x = layers.Dropout(dropout_rate, name=f"{name}_dropout")(x)
    return x


def conv_norm(
    x: keras.KerasTensor,
    name: str,
    filters: int,
    kernel_size: int = 3,
    dilation: int = 1,
    activation: str | None = "relu",
    use_bias: bool = True,
    scale: bool = True,
) -> keras.KerasTensor:
    """A convolution, batch normalisation (with its factor gamma if `scale`), then activation."""
    x = layers.Conv2D(
        filters,
        kernel_size,
        dilation_rate=dilation,
        padding="same",
        use_bias=use_bias,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(momentum=NORM_MOMENTUM, scale=scale, name=f"{name}_norm")(x)
    return layers.Activation(activation, name=f"{name}_{activation}")(x) if activation else x


def enlarged(x: keras.KerasTensor, times: int, name: str, dtype: Any = None) -> keras.KerasTensor:
    """The map, `times` as high and wide, interpolated bilinearly; itself for `times` of 1."""
    if times == 1:
        return x
    return layers.UpSampling2D(times, interpolation="bilinear", dtype=dtype, name=f"{name}_up")(x)
