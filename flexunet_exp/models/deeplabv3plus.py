"""DeepLabv3+: atrous convolutions of several rates over an encoder, and a decoder of one skip.

Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation"
(2018), arXiv:1802.02611.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
from keras import layers

from flexunet_exp.models.arguments import check_values
from flexunet_exp.models.blocks import conv_norm, enlarged
from flexunet_exp.models.deeplabv3plus_rules import RULES
from flexunet_exp.models.encoders.encoder import Encoder
from flexunet_exp.models.feature_maps import SpreadOver
from flexunet_exp.models.unet import encoded

# Atrous rates by output stride. Those of 16 and 8 are the paper's (section 4); at 32 a pixel is
# twice as wide as at 16.
RATES = {32: (3, 6, 9), 16: (6, 12, 18), 8: (12, 24, 36)}
FINE = 4  # stride of the features that the decoder adds, and of the logits


def deeplabv3plus(
    input_shape: Sequence[int],
    num_classes: int,
    encoder: Mapping[str, Any],
    encoder_weights: str | None = "imagenet",
    encoder_trainable: str = "frozen",
    encoder_rate: float = 0.1,
    encoder_from_epoch: int = 0,
    output_stride: int = 16,
    aspp_filters: int = 256,
    fine_filters: int = 48,
    decoder_filters: int = 256,
    dropout_rate: float = 0.1,
    input_dtype: str = "uint8",
) -> keras.Model:
    """DeepLabv3+: images (B, H, W, channels) of `input_dtype` to logits (B, H, W, C) float32.

    Atrous spatial pyramid pooling takes the encoder's features of `output_stride`: 1 x 1, three
    3 x 3 convolutions of the rates that `RATES` has for this stride, and the mean of the picture.
    What it gives is enlarged to stride 4, joined with the encoder's features there, reduced to
    `fine_filters`, and convolved twice. Stages of the encoder behind `output_stride` are left out.
    H and W must divide by 32. Arguments of the encoder are as in `unet`. Raises InputError with
    every argument that does not fit, or where the weights cannot be had.
    """
    check_values(locals(), RULES["deeplabv3plus"])
    image, whole = encoded(
        input_shape[-1], input_dtype, encoder, encoder_weights, encoder_trainable, encoder_rate,
        encoder_from_epoch,
    )  # fmt: skip
    features = whole.pyramid.features
    x = pyramid_pooling(features[output_stride], RATES[output_stride], aspp_filters)
    x = layers.Dropout(dropout_rate, name="aspp_dropout")(x)
    x = enlarged(x, output_stride // FINE, "aspp")
    fine = conv(features[FINE], "fine", fine_filters, 1)
    x = layers.Concatenate(name="decoder_concat")([x, fine])
    for index in (1, 2):
        x = conv(x, f"decoder{index}", decoder_filters, 3)
    logits = layers.Conv2D(num_classes, 1, dtype="float32", name="head")(x)
    logits = enlarged(logits, FINE, "logits", dtype="float32")
    model = keras.Model(image, logits, name="deeplabv3plus")
    model.encoder = used_part(whole, model)
    return model


def pyramid_pooling(x: keras.KerasTensor, rates: Sequence[int], filters: int) -> keras.KerasTensor:
    """Atrous spatial pyramid pooling: features (B, h, w, F) of five extents, projected to one."""
    parts = [conv(x, "aspp_1x1", filters, 1)]
    parts += [conv(x, f"aspp_rate{rate}", filters, 3, rate) for rate in rates]
    # In float32: a mean over many pixels loses digits.
    mean = layers.GlobalAveragePooling2D(keepdims=True, dtype="float32", name="aspp_mean")(x)
    mean = conv(mean, "aspp_mean", filters, 1)
    parts.append(SpreadOver(name="aspp_mean_spread")(mean, x))
    return conv(layers.Concatenate(name="aspp_concat")(parts), "aspp", filters, 1)


def conv(
    x: keras.KerasTensor, name: str, filters: int, kernel_size: int, rate: int = 1
) -> keras.KerasTensor:
    return conv_norm(x, name, filters, kernel_size, dilation=rate, use_bias=False)


def used_part(encoder: Encoder, model: keras.Model) -> Encoder:
    """The encoder without the layers that the model does not compute."""
    used = {id(layer) for layer in model.layers}
    own = tuple(layer for layer in encoder.pyramid.layers if id(layer) in used)
    return replace(encoder, pyramid=replace(encoder.pyramid, layers=own))
