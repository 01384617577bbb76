"""SegFormer: a transformer with overlapping patches and four scales, and a decoder of 1x1 layers.

Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers"
(2021), arXiv:2105.15203.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from flexunet_exp.models import transformer
from flexunet_exp.models.arguments import check_network
from flexunet_exp.models.attention import Attention
from flexunet_exp.models.blocks import conv_norm, enlarged, scaled_image
from flexunet_exp.models.segformer_rules import RULES

REDUCTIONS = (8, 4, 2, 1)  # of keys and values, a side of each stage: the paper's table 6
EXPANSION = 4  # of the features within a Mix-FFN
INNER_EPSILON = 1e-5  # of the normalisations that the authors' code leaves at PyTorch's default


def segformer(
    input_shape: Sequence[int],
    num_classes: int,
    embed_dims: Sequence[int] = (32, 64, 160, 256),
    depths: Sequence[int] = (2, 2, 2, 2),
    num_heads: Sequence[int] = (1, 2, 5, 8),
    decoder_filters: int = 256,
    dropout_rate: float = 0.1,
    input_scaling: str = "symmetric",
    input_dtype: str = "uint8",
) -> keras.Model:
    """SegFormer: images (B, H, W, channels) of `input_dtype` to logits (B, H, W, C) float32.

    The defaults are those of B0. Stage i = 0 .. 3 has stride 4 * 2^i, `embed_dims[i]` features and
    `depths[i]` blocks with heads of embed_dims[i] / num_heads[i] features. The logits of stride 4
    are enlarged to the picture. `dropout_rate` is that of the decoder. H and W must divide by 32.
    Raises InputError with every argument that does not fit.
    """
    check_network(locals(), RULES["segformer"])
    image, x = scaled_image(input_shape[-1], input_scaling, input_dtype)
    maps = []
    for index in range(len(depths)):
        x = stage(x, index, embed_dims[index], depths[index], num_heads[index])
        maps.append(x)
    x = fused(maps, decoder_filters)
    x = transformer.dropped(x, "decoder", dropout_rate)
    logits = layers.Conv2D(num_classes, 1, dtype="float32", name="head")(x)
    logits = enlarged(logits, 4, "logits", dtype="float32")
    return keras.Model(image, logits, name="segformer")


def stage(
    x: keras.KerasTensor, index: int, filters: int, depth: int, num_heads: int
) -> keras.KerasTensor:
    """Overlapping patches, then `depth` blocks: features (B, H / stride, W / stride, filters)."""
    name = f"stage{index}"
    kernel, stride = (7, 4) if index == 0 else (3, 2)
    # The border of PyTorch's convolution, where the authors' weights come from.
    x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_border")(x)
    x = layers.Conv2D(filters, kernel, strides=stride, name=f"{name}_patches")(x)
    x = transformer.normed(x, f"{name}_patches", INNER_EPSILON)
    for number in range(depth):
        x = block(x, f"{name}_block{number}", num_heads, REDUCTIONS[index])
    return transformer.normed(x, name)


def block(x: keras.KerasTensor, name: str, num_heads: int, reduction: int) -> keras.KerasTensor:
    filters = x.shape[-1]
    source = attending = transformer.normed(x, f"{name}_attention")
    if reduction > 1:
        source = layers.Conv2D(filters, reduction, strides=reduction, name=f"{name}_reduce")(source)
        source = transformer.normed(source, f"{name}_reduce", INNER_EPSILON)
    attention = Attention(num_heads, name=f"{name}_heads")
    change = transformer.attend(attending, name, attention, source)
    x = transformer.added(x, change, f"{name}_attended")
    change = mix_ffn(transformer.normed(x, f"{name}_mix"), f"{name}_mix", EXPANSION * filters)
    return transformer.added(x, change, f"{name}_mixed")


def mix_ffn(x: keras.KerasTensor, name: str, hidden: int) -> keras.KerasTensor:
    """A perceptron with a depthwise 3x3 convolution inside, which tells where a pixel lies."""
    filters = x.shape[-1]
    x = transformer.dense(x, hidden, f"{name}_hidden")
    x = layers.DepthwiseConv2D(3, padding="same", name=f"{name}_depthwise")(x)
    x = layers.Activation(transformer.gelu, name=f"{name}_gelu")(x)
    return transformer.dense(x, filters, f"{name}_output")


def fused(maps: Sequence[keras.KerasTensor], filters: int) -> keras.KerasTensor:
    """The maps of all stages, each made linear to `filters`, at stride 4, fused by one layer."""
    parts = [
        enlarged(transformer.dense(x, filters, f"decoder{i}"), 2**i, f"decoder{i}")
        for i, x in enumerate(maps)
    ]
    x = layers.Concatenate(name="decoder_concat")(parts[::-1])
    return conv_norm(x, "decoder", filters, 1, use_bias=False)
