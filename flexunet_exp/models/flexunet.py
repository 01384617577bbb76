"""FlexUNet: a U-Net whose kernels and dilations are large at full resolution and shrink with depth.

The encoder-decoder with skips is that of Ronneberger et al., "U-Net" (2015), arXiv:1505.04597.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import layers

from flexunet_exp.errors import InputError

# Scale and offset that turn raw pixels, 0..255, into the network's input.
INPUT_SCALINGS = {"none": (1.0, 0.0), "unit": (1 / 255, 0.0), "symmetric": (1 / 127.5, -1.0)}

# Epochs of a small data set have few steps: with Keras's 0.99 the running statistics would lag a
# hundred steps behind the weights, and validation would judge another network than the trained one.
NORM_MOMENTUM = 0.9


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
    if problems := list(argument_problems(locals())):
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
            x = layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_norm{index}")(x)
        if index == 1 and dropout_rate > 0:
            x = layers.Dropout(dropout_rate, name=f"{name}_dropout")(x)
    return x


def argument_problems(arguments: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the arguments of `flexunet`, a sentence each."""
    broken = {name for name, (holds, _, _) in RULES.items() if not holds(arguments[name])}
    for name, (_, expected, example) in RULES.items():
        if name in broken:
            found = arguments[name]
            yield f"Argument `{name}` must be {expected}. Received: {found!r}. Try {example}"
    if not broken & {"input_shape", "num_layers"}:
        yield from size_problems(arguments["input_shape"], arguments["num_layers"])
    if not broken & {"dropout_rate", "num_layers"}:
        yield from dropout_problems(arguments["dropout_rate"], arguments["num_layers"])


def size_problems(input_shape: Sequence[int], num_layers: int) -> Iterator[str]:
    size, step = tuple(input_shape[:2]), 2 ** (num_layers - 1)
    if any(side % step for side in size):
        height, width = (math.ceil(side / step) * step for side in size)
        yield (
            f"Argument `image_size` must be divisible by {step} for num_layers={num_layers}. "
            f"Received: {size}. Try dataset.image_size=[{height},{width}]"
        )


def dropout_problems(dropout_rate: float, num_layers: int) -> Iterator[str]:
    poolings = num_layers - 1
    if dropout_rate * poolings >= 1:
        yield (
            "Argument `dropout_rate` times (num_layers - 1) must stay below 1. "
            f"Received: {dropout_rate} * {poolings}. Try model.dropout_rate={0.5 / poolings:.2g}"
        )


def at_least(smallest: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and value >= smallest


def is_shape(value: Any) -> bool:
    return isinstance(value, Sequence) and len(value) == 3 and all(map(at_least(1), value))


def is_odd_kernel(value: Any) -> bool:
    return at_least(3)(value) and value % 2 == 1


def is_rate(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1


def is_activation(name: Any) -> bool:
    try:
        return isinstance(name, str) and callable(keras.activations.get(name))
    except ValueError:
        return False


COUNT = "a whole number of at least 1"
# Argument → what holds of it, in words, and what to type instead of a wrong one.
RULES: dict[str, tuple[Callable[[Any], bool], str, str]] = {
    "input_shape": (is_shape, "(height, width, channels)", "dataset.image_size=256"),
    "num_classes": (at_least(1), COUNT, "a dataset with classes, such as dataset=zipper"),
    "base_filters": (at_least(1), COUNT, "model.base_filters=16"),
    "base_kernel": (is_odd_kernel, "odd and at least 3", "model.base_kernel=9"),
    "num_layers": (at_least(1), COUNT, "model.num_layers=8"),
    "dropout_rate": (is_rate, "a number from 0 to below 1", "model.dropout_rate=0.04"),
    "dilation": (at_least(1), COUNT, "model.dilation=1"),
    "batch_norm": (lambda value: type(value) is bool, "true or false", "model.batch_norm=false"),
    "activation": (is_activation, "a name of keras.activations", "model.activation=relu"),
    "input_scaling": (
        lambda value: isinstance(value, str) and value in INPUT_SCALINGS,
        f"one of {', '.join(INPUT_SCALINGS)}",
        "model.input_scaling=unit",
    ),
}
