"""UNet 3+: each decoder level takes features of all levels, finer and coarser.

Huang et al., "UNet 3+: A Full-Scale Connected UNet for Medical Image Segmentation" (2020),
arXiv:2004.08790.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from flexunet_exp.models.arguments import check_network
from flexunet_exp.models.blocks import conv_norm, encoder, enlarged, scaled_image
from flexunet_exp.models.feature_maps import SpreadOver
from flexunet_exp.models.side_outputs import SideOutputs
from flexunet_exp.models.unet3plus_rules import RULES


def unet3plus(
    input_shape: Sequence[int],
    num_classes: int,
    base_filters: int = 64,
    num_layers: int = 5,
    dropout_rate: float = 0.0,
    classification_guided: bool = False,
    input_scaling: str = "unit",
    input_dtype: str = "uint8",
) -> keras.Model:
    """UNet 3+ for images (B, H, W, channels) of `input_dtype`, giving logits (B, H, W, C) float32.

    Level i = 0 .. num_layers - 1, the last being the bridge, has base_filters * 2^i filters. A
    decoder level brings each of the num_layers feature maps to its size and to base_filters
    channels, and convolves all of them together. H and W must divide by 2^(num_layers - 1).
    `dropout_rate` is that of the bridge. With `classification_guided`, the bridge says for each
    defect class whether the picture shows it: see `guided`. The side outputs are those of all
    decoder levels but the finest, and of the bridge. Raises InputError with every argument that
    does not fit.
    """
    check_network(locals(), RULES["unet3plus"])

    def stage(x: keras.KerasTensor, name: str, level: int) -> keras.KerasTensor:
        for index in (1, 2):
            x = conv_norm(x, f"{name}_{index}", base_filters * 2**level)
        return x

    image, x = scaled_image(input_shape[-1], input_scaling, input_dtype)
    bridge, skips = encoder(x, stage, num_layers)
    if dropout_rate > 0:
        bridge = layers.SpatialDropout2D(dropout_rate, name="bridge_dropout")(bridge)
    decoded = {num_layers - 1: bridge}
    for level in reversed(range(num_layers - 1)):
        finer = {source: skips[source] for source in range(level + 1)}
        decoded[level] = full_scale(finer | decoded, level, base_filters)

    presence = log_presence(bridge, num_classes) if classification_guided else None

    def logits(level: int, name: str) -> keras.KerasTensor:
        head = layers.Conv2D(num_classes, 3, padding="same", dtype="float32", name=name)
        x = enlarged(head(decoded[level]), 2**level, name, dtype="float32")
        return guided(x, presence, name) if presence is not None else x

    model = keras.Model(image, logits(0, "head"), name="unet3plus")
    model.side_outputs = SideOutputs(
        lambda: [logits(level, f"side{2**level}_head") for level in range(1, num_layers)]
    )
    return model


def full_scale(maps: dict[int, keras.KerasTensor], level: int, filters: int) -> keras.KerasTensor:
    """The decoder's features of a level from maps of all levels (level → map)."""
    parts = []
    for source in sorted(maps):
        name = f"decoder{level}_from{source}"
        x = maps[source]
        if source < level:
            x = layers.MaxPooling2D(2 ** (level - source), name=f"{name}_pool")(x)
        else:
            x = enlarged(x, 2 ** (source - level), name)
        parts.append(conv_norm(x, name, filters))
    x = layers.Concatenate(name=f"decoder{level}_concat")(parts)
    return conv_norm(x, f"decoder{level}", filters * len(parts))


def log_presence(bridge: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """log of the chance (B, 1, 1, C) that the picture shows a class; 0 for the background."""
    x = layers.Dropout(0.5, name="presence_dropout")(bridge)
    x = layers.Conv2D(num_classes - 1, 1, dtype="float32", name="presence_conv")(x)
    x = layers.GlobalMaxPooling2D(dtype="float32", name="presence_pool")(x)
    x = layers.Activation("log_sigmoid", dtype="float32", name="presence")(x)
    x = layers.Reshape((-1, 1), dtype="float32", name="presence_classes")(x)
    x = layers.ZeroPadding1D((1, 0), dtype="float32", name="presence_background")(x)
    return layers.Reshape((1, 1, num_classes), dtype="float32", name="presence_pixel")(x)


def guided(logits: keras.KerasTensor, presence: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """The logits plus log-presence: the odds of a class are multiplied by the chance it is there.

    The paper multiplies the output of one organ by 0 or 1, which has no gradient and no meaning for
    several classes.
    """
    spread = SpreadOver(dtype="float32", name=f"{name}_presence")(presence, logits)
    return layers.Add(dtype="float32", name=f"{name}_guided")([logits, spread])
