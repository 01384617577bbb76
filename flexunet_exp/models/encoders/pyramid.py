"""What an encoder gives: its features by stride, and its layers, shallowest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import keras


class Origin(NamedTuple):
    """Where the first weights of an encoder come from."""

    name: str  # imagenet, or a file
    sha256: str
    licence: str


@dataclass(frozen=True)
class Pyramid:
    """Features of an image, and the layers that compute them.

    `image` is the tensor that the encoder was given. `features` is stride → tensor
    (B, H / stride, W / stride, channels), strides 2, 4, 8, … 32; `origin` is None for random
    weights.
    """

    image: keras.KerasTensor
    features: dict[int, keras.KerasTensor]
    layers: tuple[keras.layers.Layer, ...]
    origin: Origin | None

    def last_stages(self) -> tuple[keras.layers.Layer, ...]:
        """The layers behind the features of stride 8: those of strides 16 and 32."""
        until = keras.Model(self.image, self.features[8])
        before = {layer.name for layer in until.layers}
        return tuple(layer for layer in self.layers if layer.name not in before)
