"""Layers without weights that rearrange feature maps (B, H, W, F)."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="flexunet_exp")
class SpaceToDepth(layers.Layer):
    """Squares of 2 by 2 pixels become one with four times the features: (B, H/2, W/2, 4F).

    H and W must be even. The features of the four pixels follow each other column by column, as in
    Swin Transformer's patch merging.
    """

    def call(self, x: Any) -> Any:
        batch, height, width, _ = ops.shape(x)
        filters = x.shape[-1]
        x = ops.reshape(x, (batch, height // 2, 2, width // 2, 2, filters))
        x = ops.transpose(x, (0, 1, 3, 4, 2, 5))
        return ops.reshape(x, (batch, height // 2, width // 2, 4 * filters))

    def compute_output_shape(self, shape: Any) -> tuple:
        batch, height, width, filters = shape
        return (batch, height and height // 2, width and width // 2, 4 * filters)


@keras.saving.register_keras_serializable(package="flexunet_exp")
class DepthToSpace(layers.Layer):
    """A pixel becomes a square of `times` by `times` with a part of its features each."""

    def __init__(self, times: int, **options: Any):
        super().__init__(**options)
        self.times = times

    def call(self, x: Any) -> Any:
        batch, height, width, _ = ops.shape(x)
        times, filters = self.times, x.shape[-1] // self.times**2
        x = ops.reshape(x, (batch, height, width, times, times, filters))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (batch, height * times, width * times, filters))

    def compute_output_shape(self, shape: Any) -> tuple:
        batch, height, width, filters = shape
        sides = [side and side * self.times for side in (height, width)]
        return (batch, *sides, filters // self.times**2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "times": self.times}


@keras.saving.register_keras_serializable(package="flexunet_exp")
class SpreadOver(layers.Layer):
    """One pixel (B, 1, 1, F) repeated at every pixel of a map (B, H, W, G): (B, H, W, F)."""

    def call(self, pixel: Any, feature_map: Any) -> Any:
        batch, height, width, _ = ops.shape(feature_map)
        return ops.broadcast_to(pixel, (batch, height, width, pixel.shape[-1]))

    def compute_output_shape(self, pixel_shape: Any, feature_map_shape: Any) -> tuple:
        return (*feature_map_shape[:3], pixel_shape[-1])


@keras.saving.register_keras_serializable(package="flexunet_exp")
class PositionEmbedding(layers.Layer):
    """Adds what is learned for each place of a grid of `size`, interpolated for other grids."""

    def __init__(self, size: tuple[int, int], **options: Any):
        super().__init__(**options)
        self.size = tuple(size)

    def build(self, shape: Any) -> None:
        self.embedding = self.add_weight(
            shape=(1, *self.size, shape[-1]),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="embedding",
        )

    def call(self, x: Any) -> Any:
        height, width = ops.shape(x)[1:3]
        if (height, width) == self.size:
            return x + ops.cast(self.embedding, x.dtype)
        resized = ops.image.resize(ops.cast(self.embedding, "float32"), (height, width))
        return x + ops.cast(resized, x.dtype)

    def compute_output_shape(self, shape: Any) -> tuple:
        return shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}
