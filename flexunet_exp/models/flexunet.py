"""FlexUNet: a U-Net whose kernels and dilations are large at full resolution and shrink with depth.

The encoder-decoder with skips is that of Ronneberger et al., "U-Net" (2015), arXiv:1505.04597.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from typing import Any

import keras
from keras import layers

from flexunet_exp.errors import InputError, did_you_mean

# Scale and offset that turn raw pixels, 0..255, into the network's input.
INPUT_SCALINGS = {"none": (1.0, 0.0), "unit": (1 / 255, 0.0), "symmetric": (1 / 127.5, -1.0)}


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
) -> keras.Model:
    """FlexUNet for images (B, H, W, channels) uint8 0..255, giving logits (B, H, W, C) float32.

    Level i = 0 .. num_layers - 1, the last being the bridge, has base_filters * 2^i filters, kernel
    max(base_kernel - 2i, 3), dilation max(dilation - i, 1) and dropout dropout_rate * i. Of
    `input_shape` (H, W, channels) only the channels are fixed: any H and W divisible by
    2^(num_layers - 1) will do later. Raises InputError with every argument that does not fit.
    """
    arguments = dict(locals())
    if problems := [*argument_problems(arguments)]:
        raise InputError(problems)

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

    image = keras.Input((None, None, input_shape[-1]), dtype="uint8", name="image")
    scale, offset = INPUT_SCALINGS[input_scaling]
    # In float32, because a bfloat16 product would lose grey levels.
    x = layers.Rescaling(scale, offset, dtype="float32", name="scaling")(image)

    # Encoder
    skips = []
    for level in range(num_layers - 1):
        x = stage(x, f"encoder{level}", level)
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"encoder{level}_pool")(x)

    # Bridge
    x = stage(x, "bridge", num_layers - 1)

    # Decoder
    for level in reversed(range(num_layers - 1)):
        name = f"decoder{level}"
        x = layers.Conv2DTranspose(base_filters * 2**level, 2, strides=2, name=f"{name}_up")(x)
        x = layers.Concatenate(name=f"{name}_concat")([x, skips[level]])
        x = stage(x, name, level)

    # Head
    logits = layers.Conv2D(num_classes, 1, dtype="float32", name="head")(x)
    return keras.Model(image, logits, name="flexunet")


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
            x = layers.BatchNormalization(name=f"{name}_norm{index}")(x)
        if index == 1 and dropout_rate > 0:
            x = layers.Dropout(dropout_rate, name=f"{name}_dropout")(x)
    return x


def argument_problems(arguments: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the arguments of `flexunet`, a sentence each."""
    for name, (smallest, example) in WHOLE_NUMBERS.items():
        if not is_whole(arguments[name], smallest):
            found = arguments[name]
            yield (
                f"Argument `{name}` must be a whole number of at least {smallest}. "
                f"Received: {found!r}. Try {example}"
            )
    yield from size_problems(arguments["input_shape"], arguments["num_layers"])
    kernel = arguments["base_kernel"]
    if is_whole(kernel, 3) and kernel % 2 == 0:
        yield (
            "Argument `base_kernel` must be odd: an even kernel shifts the picture. "
            f"Received: {kernel}. Try model.base_kernel={kernel + 1}"
        )
    yield from dropout_problems(arguments["dropout_rate"], arguments["num_layers"])
    if not isinstance(arguments["batch_norm"], bool):
        yield (
            "Argument `batch_norm` must be true or false. "
            f"Received: {arguments['batch_norm']!r}. Try model.batch_norm=false"
        )
    if not is_activation(arguments["activation"]):
        yield (
            "Argument `activation` must be a name that keras.activations knows. "
            f"Received: {arguments['activation']!r}. Try model.activation=relu"
        )
    scaling = arguments["input_scaling"]
    if scaling not in INPUT_SCALINGS:
        yield (
            f"Argument `input_scaling` must be one of {', '.join(INPUT_SCALINGS)}. "
            f"Received: {scaling!r}.{did_you_mean(str(scaling), INPUT_SCALINGS)} "
            "Try model.input_scaling=unit"
        )


# Argument → smallest value, and what to type instead of a wrong one.
WHOLE_NUMBERS = {
    "num_classes": (1, "a dataset with at least one class"),
    "base_filters": (1, "model.base_filters=16"),
    "base_kernel": (3, "model.base_kernel=9"),
    "num_layers": (1, "model.num_layers=8"),
    "dilation": (1, "model.dilation=1"),
}


def size_problems(input_shape: Sequence[int], num_layers: Any) -> Iterator[str]:
    if len(input_shape) != 3 or not all(is_whole(size, 1) for size in input_shape):
        yield (
            "Argument `input_shape` must be (height, width, channels), each at least 1. "
            f"Received: {tuple(input_shape)}. Try dataset.image_size=[256,256]"
        )
    elif is_whole(num_layers, 1):
        size, step = tuple(input_shape[:2]), 2 ** (num_layers - 1)
        if any(side % step for side in size):
            height, width = (math.ceil(side / step) * step for side in size)
            yield (
                f"Argument `image_size` must be divisible by {step} for num_layers={num_layers}. "
                f"Received: {size}. Try dataset.image_size=[{height},{width}]"
            )


def dropout_problems(dropout_rate: Any, num_layers: Any) -> Iterator[str]:
    is_rate = isinstance(dropout_rate, Real) and not isinstance(dropout_rate, bool)
    if not is_rate or not 0 <= dropout_rate < 1:
        yield (
            "Argument `dropout_rate` must be a number from 0 to below 1. "
            f"Received: {dropout_rate!r}. Try model.dropout_rate=0.04"
        )
    elif is_whole(num_layers, 1) and dropout_rate * (num_layers - 1) >= 1:
        deepest = round(dropout_rate * (num_layers - 1), 4)
        largest = math.floor(99 / (num_layers - 1)) / 100
        yield (
            "Argument `dropout_rate` times (num_layers - 1) must stay below 1. Received: "
            f"{dropout_rate} * {num_layers - 1} = {deepest}. Try model.dropout_rate={largest}"
        )


def is_whole(value: Any, smallest: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= smallest


def is_activation(name: Any) -> bool:
    try:
        return isinstance(name, str) and callable(keras.activations.get(name))
    except ValueError:
        return False
