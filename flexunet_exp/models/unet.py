"""A U-Net decoder over an encoder that may be pretrained.

The encoder-decoder with skips is that of Ronneberger et al., "U-Net" (2015), arXiv:1505.04597. The
decoder enlarges by bilinear interpolation, which leaves no checkerboard (Odena et al., 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
from keras import layers

from flexunet_exp.config import building
from flexunet_exp.models.arguments import check_values
from flexunet_exp.models.blocks import NORM_MOMENTUM, WHITE, enlarged
from flexunet_exp.models.encoders.encoder import Encoder
from flexunet_exp.models.encoders.pyramid import Pyramid
from flexunet_exp.models.unet_rules import RULES


def unet(
    input_shape: Sequence[int],
    num_classes: int,
    encoder: Mapping[str, Any],
    encoder_weights: str | None = "imagenet",
    encoder_trainable: str = "frozen",
    encoder_rate: float = 0.1,
    encoder_from_epoch: int = 0,
    output_stride: int = 4,
    decoder_filters: int = 32,
    skip_filters: int | None = 32,
    normalisation: str = "batch",
    dropout_rate: float = 0.0,
    input_dtype: str = "uint8",
) -> keras.Model:
    """A U-Net for images (B, H, W, channels) of `input_dtype`, giving logits (B, H, W, C) float32.

    `encoder` names a function of `models.encoders`, with its arguments. The decoder begins at its
    coarsest features; at each finer stride down to `output_stride` it doubles the size, appends the
    encoder's features, reduced to at most `skip_filters` channels (1 x 1; None: all), and convolves
    twice (3 x 3, `decoder_filters`). The logits of that stride
    are enlarged to the picture. H and W must divide by 32. `encoder_trainable`: all, last_stages
    (strides 16 and 32), no_batch_norm (all weights, with the stored statistics), frozen. A frozen
    encoder's batch normalisation uses the stored statistics, too. An encoder that is trained has
    `encoder_rate` times the learning rate of the decoder (a tenth, as in DeepLab: Chen et al.
    (2017), arXiv:1606.00915, and DETR: Carion et al. (2020), arXiv:2005.12872), and is frozen in
    the first `encoder_from_epoch` epochs. The attribute `encoder` of the model is its `Encoder`.
    Raises InputError with every argument that does not fit, or where the weights cannot be had.
    """
    check_values(locals(), RULES["unet"])
    image, part = encoded(
        input_shape[-1], input_dtype, encoder, encoder_weights, encoder_trainable, encoder_rate,
        encoder_from_epoch,
    )  # fmt: skip
    convolve = partial(
        double_conv,
        filters=decoder_filters,
        normalisation=normalisation,
        dropout_rate=dropout_rate,
    )
    x = decoder(part.pyramid, output_stride, skip_filters, convolve)
    logits = layers.Conv2D(num_classes, 1, dtype="float32", name="head")(x)
    if output_stride > 1:
        logits = enlarged(logits, output_stride, "logits", dtype="float32")
    model = keras.Model(image, logits, name="unet")
    model.encoder = part
    return model


def encoded(
    channels: int,
    input_dtype: str,
    encoder: Mapping[str, Any],
    weights: str | None,
    trainable: str,
    rate: float,
    from_epoch: int,
) -> tuple[keras.KerasTensor, Encoder]:
    """The image (B, H, W, channels) of `input_dtype`, and the encoder with its features."""
    image = keras.Input((None, None, channels), dtype=input_dtype, name="image")
    levels = image
    if input_dtype != "uint8":
        share = WHITE["uint8"] / WHITE[input_dtype]
        rescaling = layers.Rescaling(share, dtype="float32", name="grey_levels")
        rescaling.trainable = False  # it belongs to the frozen part
        levels = rescaling(image)
    pyramid = building.build(dict(encoder), image=levels, weights=weights)
    part = Encoder(pyramid, trainable, rate, from_epoch)
    part.let_train(from_epoch)
    return image, part


def decoder(
    pyramid: Pyramid,
    output_stride: int,
    skip_filters: int | None,
    convolve: Callable[[keras.KerasTensor, str], keras.KerasTensor],
) -> keras.KerasTensor:
    """The decoder's features at `output_stride`; `convolve` is called with a level's name."""
    strides = sorted(pyramid.features, reverse=True)
    x = pyramid.features[strides[0]]
    for stride in strides[1:]:
        if stride < output_stride:
            break
        name = f"decoder{stride}"
        x = enlarged(x, 2, name)
        skip = pyramid.features[stride]
        if skip_filters and skip.shape[-1] > skip_filters:
            skip = layers.Conv2D(skip_filters, 1, name=f"{name}_skip")(skip)
        x = layers.Concatenate(name=f"{name}_concat")([x, skip])
        x = convolve(x, name)
    if output_stride < strides[-1]:  # an encoder has no features at stride 1
        x = enlarged(x, strides[-1] // output_stride, "decoder1")
        x = convolve(x, "decoder1")
    return x


def double_conv(
    x: keras.KerasTensor, name: str, filters: int, normalisation: str, dropout_rate: float
) -> keras.KerasTensor:
    """Two convolutions, each with normalisation and ReLU; dropout in between."""
    for index in (1, 2):
        x = layers.Conv2D(
            filters,
            3,
            padding="same",
            use_bias=normalisation == "none",
            kernel_initializer="he_normal",
            name=f"{name}_conv{index}",
        )(x)
        if normalisation == "batch":
            x = layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_norm{index}")(x)
        elif normalisation == "group":
            x = layers.GroupNormalization(groups=groups_of(filters), name=f"{name}_norm{index}")(x)
        x = layers.Activation("relu", name=f"{name}_relu{index}")(x)
        if index == 1 and dropout_rate > 0:
            x = layers.SpatialDropout2D(dropout_rate, name=f"{name}_dropout")(x)
    return x


def groups_of(filters: int) -> int:
    """Groups of eight channels, or of all where they do not divide by eight."""
    return filters // 8 if filters % 8 == 0 else 1
