"""Attention U-Net: a U-Net whose skips pass only where the coarser level finds them relevant.

Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas" (2018), arXiv:1804.03999.
Here in two dimensions; deep supervision is an option of the training.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from flexunet_exp.models.arguments import check_arguments
from flexunet_exp.models.attention_unet_rules import RULES
from flexunet_exp.models.blocks import double_conv, encoder, scaled_image
from flexunet_exp.models.side_outputs import of_features

# The bias before the sigmoid. Gates begin open, as in the paper; at 0.95, because closer to 1 the
# sigmoid's gradient is too small to learn from.
OPEN_GATE = 3.0


def attention_unet(
    input_shape: Sequence[int],
    num_classes: int,
    base_filters: int = 16,
    num_layers: int = 5,
    dropout_rate: float = 0.0,
    batch_norm: bool = True,
    activation: str = "relu",
    input_scaling: str = "unit",
    input_dtype: str = "uint8",
) -> keras.Model:
    """Attention U-Net: images (B, H, W, channels) of `input_dtype` to logits (B, H, W, C) float32.

    Level i = 0 .. num_layers - 1, the last being the bridge, has two 3x3 convolutions of
    base_filters * 2^i filters and dropout dropout_rate * i. Every skip except the topmost is gated:
    the paper (section 2) leaves that one out, because its features are low-level. Of `input_shape`
    (H, W, channels) only the channels are fixed: any H and W divisible by 2^(num_layers - 1) will
    do later. `input_dtype` is uint8 or uint16, whose largest value is white. The side outputs are
    those of the decoder's levels but the finest. Raises InputError with every argument that does
    not fit.
    """
    check_arguments(locals(), RULES["attention_unet"])

    def stage(x: keras.KerasTensor, name: str, level: int) -> keras.KerasTensor:
        return double_conv(
            x,
            name,
            filters=base_filters * 2**level,
            kernel_size=3,
            dilation=1,
            dropout_rate=dropout_rate * level,
            batch_norm=batch_norm,
            activation=activation,
        )

    image, x = scaled_image(input_shape[-1], input_scaling, input_dtype)
    x, skips = encoder(x, stage, num_layers)
    coarser: list[tuple[keras.KerasTensor, int]] = []

    # Decoder
    for level in reversed(range(num_layers - 1)):
        name = f"decoder{level}"
        skip = attention_gate(skips[level], x, f"gate{level}") if level > 0 else skips[level]
        x = layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_up")(x)
        x = layers.Concatenate(name=f"{name}_concat")([x, skip])
        x = stage(x, name, level)
        if level:
            coarser.insert(0, (x, 2**level))

    # Head
    logits = layers.Conv2D(num_classes, 1, dtype="float32", name="head")(x)
    model = keras.Model(image, logits, name="attention_unet")
    model.side_outputs = of_features(coarser, num_classes)
    return model


def attention_gate(
    skip: keras.KerasTensor, gating: keras.KerasTensor, name: str
) -> keras.KerasTensor:
    """The skip (B, H, W, F), every pixel times its coefficient 0..1, which all F features share.

    Additive attention of the paper's equations 1 and 2 on the grid of the gating signal
    (B, H/2, W/2, G), the coarser level's output: sigmoid(psi relu(W_x skip + W_g gating + b_g) +
    b_psi), resampled bilinearly to the skip's grid. W_x takes two by two pixels at a time, and maps
    to F features, as in the authors' program.
    """
    filters = skip.shape[-1]
    found = layers.Conv2D(
        filters,
        2,
        strides=2,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_skip",
    )(skip)
    asked = layers.Conv2D(filters, 1, kernel_initializer="he_normal", name=f"{name}_gating")(gating)
    x = layers.Add(name=f"{name}_add")([found, asked])
    x = layers.Activation("relu", name=f"{name}_relu")(x)
    # In float32, because in bfloat16 a gate above 0.998 is 1 and its gradient 0.
    x = layers.Conv2D(
        1,
        1,
        activation="sigmoid",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=keras.initializers.Constant(OPEN_GATE),
        dtype="float32",
        name=f"{name}_coefficients",
    )(x)
    x = layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_resampled")(x)
    return layers.Multiply(name=name)([skip, x])
