"""U²-Net: a U-Net whose stages are U-Nets themselves, with logits of every scale fused.

Qin et al., "U²-Net: Going Deeper with Nested U-Structure for Salient Object Detection" (2020),
arXiv:2005.09007.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
from keras import layers

from flexunet_exp.models.arguments import check_network
from flexunet_exp.models.blocks import conv_norm, enlarged, scaled_image
from flexunet_exp.models.side_outputs import SideOutputs
from flexunet_exp.models.u2net_rules import RULES


class Stage(NamedTuple):
    """A residual U-block: its height L, its inner and outer filters; dilated in place of pooled."""

    height: int
    inner: int
    outer: int
    dilated: bool = False


def u2net(
    input_shape: Sequence[int],
    num_classes: int,
    base_filters: int = 64,
    input_scaling: str = "unit",
    input_dtype: str = "uint8",
) -> keras.Model:
    """U²-Net for images (B, H, W, channels) of `input_dtype`, giving logits (B, H, W, C) float32.

    The six stages of the encoder give base_filters times 1, 2, 4, 8, 8 and 8 (the paper's table 1).
    H and W must divide by 32. The main logits fuse the six side outputs, which deep supervision
    gives a loss of their own. Raises InputError with every argument that does not fit.
    """
    check_network(locals(), RULES["u2net"])
    b, half = base_filters, base_filters // 2
    down = [
        Stage(7, half, b),
        Stage(6, half, 2 * b),
        Stage(5, b, 4 * b),
        Stage(4, 2 * b, 8 * b),
        Stage(4, 4 * b, 8 * b, dilated=True),
        Stage(4, 4 * b, 8 * b, dilated=True),
    ]
    up = [
        Stage(7, half // 2, b),
        Stage(6, half, b),
        Stage(5, b, 2 * b),
        Stage(4, 2 * b, 4 * b),
        Stage(4, 4 * b, 8 * b, dilated=True),
    ]
    image, x = scaled_image(input_shape[-1], input_scaling, input_dtype)
    return nested(image, x, down, up, num_classes, "u2net")


def u2netp(
    input_shape: Sequence[int],
    num_classes: int,
    base_filters: int = 64,
    inner_filters: int = 16,
    input_scaling: str = "unit",
    input_dtype: str = "uint8",
) -> keras.Model:
    """The small U²-Net: every stage has `inner_filters` and `base_filters`; otherwise as `u2net`.

    Raises InputError with every argument that does not fit.
    """
    check_network(locals(), RULES["u2netp"])
    heights = ((7, False), (6, False), (5, False), (4, False), (4, True), (4, True))
    down = [Stage(height, inner_filters, base_filters, dilated) for height, dilated in heights]
    image, x = scaled_image(input_shape[-1], input_scaling, input_dtype)
    return nested(image, x, down, down[:-1], num_classes, "u2netp")


def nested(
    image: keras.KerasTensor,
    x: keras.KerasTensor,
    down: Sequence[Stage],
    up: Sequence[Stage],
    num_classes: int,
    name: str,
) -> keras.Model:
    """The network of the stages of an encoder and of a decoder, both finest first."""
    maps = []
    for index, stage in enumerate(down):
        x = layers.MaxPooling2D(2, name=f"encoder{index}_pool")(x) if index else x
        x = u_block(x, f"encoder{index}", stage)
        maps.append(x)
    decoded = {len(up): x}
    for index in reversed(range(len(up))):
        x = enlarged(x, 2, f"decoder{index}")
        x = layers.Concatenate(name=f"decoder{index}_concat")([x, maps[index]])
        x = u_block(x, f"decoder{index}", up[index])
        decoded[index] = x
    sides = [side(decoded[index], index, num_classes) for index in sorted(decoded)]
    fused = layers.Concatenate(dtype="float32", name="sides")(sides)
    logits = layers.Conv2D(num_classes, 1, dtype="float32", name="head")(fused)
    model = keras.Model(image, logits, name=name)
    model.side_outputs = SideOutputs(lambda: sides)
    return model


def side(x: keras.KerasTensor, index: int, num_classes: int) -> keras.KerasTensor:
    head = layers.Conv2D(num_classes, 3, padding="same", dtype="float32", name=f"side{index}_head")
    return enlarged(head(x), 2**index, f"side{index}", dtype="float32")


def u_block(x: keras.KerasTensor, name: str, stage: Stage) -> keras.KerasTensor:
    """The residual U-block RSU-L (the paper's figure 2): a small U-Net, plus its own input.

    A dilated block (RSU-4F) has dilations 1, 2, 4, 8 at one size in place of pooling.
    """
    entry = x = conv_norm(x, f"{name}_in", stage.outer)
    maps = []
    for level in range(stage.height - 1):
        if level and not stage.dilated:
            x = layers.MaxPooling2D(2, name=f"{name}_pool{level}")(x)
        x = conv_norm(x, f"{name}_down{level}", stage.inner, dilation=dilation(stage, level))
        maps.append(x)
    deepest = 2 ** (stage.height - 1) if stage.dilated else 2
    x = conv_norm(x, f"{name}_bottom", stage.inner, dilation=deepest)
    for level in reversed(range(stage.height - 1)):
        if level < stage.height - 2 and not stage.dilated:
            x = enlarged(x, 2, f"{name}_level{level}")
        x = layers.Concatenate(name=f"{name}_concat{level}")([x, maps[level]])
        filters = stage.inner if level else stage.outer
        x = conv_norm(x, f"{name}_up{level}", filters, dilation=dilation(stage, level))
    return layers.Add(name=f"{name}_add")([x, entry])


def dilation(stage: Stage, level: int) -> int:
    return 2**level if stage.dilated else 1
