"""Attention over the pixels of feature maps, as layers; the softmax is computed in float32.

Vaswani et al., "Attention Is All You Need" (2017), arXiv:1706.03762. The projections to queries,
keys and values and back are layers of their own in the graph of a network.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

MASKED = -1e9  # added to the score of a pair that must not attend; finite, so that no row is NaN


@keras.saving.register_keras_serializable(package="flexunet_exp")
class Attention(layers.Layer):
    """softmax(q kᵀ / √d) v over all pixels, for each of `num_heads` heads of d = F / num_heads.

    Queries (B, H, W, F), keys and values (B, h, w, F): a map (B, H, W, F).
    """

    def __init__(self, num_heads: int, **options: Any):
        super().__init__(**options)
        self.num_heads = num_heads

    def call(self, query: Any, key: Any, value: Any) -> Any:
        batch, height, width, _ = ops.shape(query)
        filters = query.shape[-1]
        shape = (batch, -1, self.num_heads, filters // self.num_heads)
        heads = (ops.reshape(part, shape) for part in (query, key, value))
        return ops.reshape(attended(*heads), (batch, height, width, filters))

    def compute_output_shape(self, query_shape: Any, key_shape: Any, value_shape: Any) -> tuple:
        return query_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_heads": self.num_heads}


@keras.saving.register_keras_serializable(package="flexunet_exp")
class WindowAttention(layers.Layer):
    """Attention within windows of `window` by `window` pixels, moved by half of it if `shifted`.

    Liu et al., "Swin Transformer" (2021), arXiv:2103.14030, section 3.2, with the learned bias for
    each offset of two pixels. A map (B, H, W, F) of any size: it is filled up to whole windows, and
    no pixel attends to the filling. An axis within one window is not moved. Inputs and output as
    those of `Attention`, all of one size.
    """

    def __init__(self, num_heads: int, window: int, shifted: bool, **options: Any):
        super().__init__(**options)
        self.num_heads, self.window, self.shifted = num_heads, window, shifted

    def build(self, *shapes: Any, **named: Any) -> None:
        self.bias = self.add_weight(
            shape=((2 * self.window - 1) ** 2, self.num_heads),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="bias",
        )

    def call(self, query: Any, key: Any, value: Any) -> Any:
        batch, height, width, _ = ops.shape(query)
        axes = [Axis(side, self.window, self.shifted) for side in (height, width)]
        query_, key_, value_ = (self.windows(part, axes) for part in (query, key, value))
        # (B, windows, heads, pixels, pixels)
        mixed = attended(query_, key_, value_, self.offsets_bias() + self.mask(axes))
        return self.map_of(mixed, axes, batch, query.shape[-1])

    def windows(self, x: Any, axes: list[Axis]) -> Any:
        """A map as (B · windows, pixels, heads, d), in the order of `map_of`."""
        filters, window = x.shape[-1], self.window
        batch = ops.shape(x)[0]
        for place, axis in enumerate(axes, start=1):
            x = axis.filled_and_moved(x, place)
        rows, columns = (axis.windows for axis in axes)
        x = ops.reshape(x, (batch, rows, window, columns, window, filters))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        d = filters // self.num_heads
        return ops.reshape(x, (batch, rows * columns, window * window, self.num_heads, d))

    def map_of(self, x: Any, axes: list[Axis], batch: Any, filters: int) -> Any:
        """The map (B, H, W, F) of windows (B, windows, pixels, heads, d)."""
        window = self.window
        rows, columns = (axis.windows for axis in axes)
        x = ops.reshape(x, (batch, rows, columns, window, window, filters))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        x = ops.reshape(x, (batch, rows * window, columns * window, filters))
        for place, axis in enumerate(axes, start=1):
            x = axis.moved_back_and_cut(x, place)
        return ops.reshape(x, (batch, axes[0].side, axes[1].side, filters))

    def offsets_bias(self) -> Any:
        """The bias (1, 1, heads, pixels, pixels) of each pair of pixels in a window."""
        pixels = np.mgrid[: self.window, : self.window].reshape(2, -1)
        rows, columns = pixels[:, :, None] - pixels[:, None, :] + self.window - 1
        index = (rows * (2 * self.window - 1) + columns).astype("int32")
        bias = ops.take(ops.cast(self.bias, "float32"), index.ravel(), axis=0)
        bias = ops.reshape(bias, (*index.shape, self.num_heads))
        return ops.transpose(bias, (2, 0, 1))[None, None]

    def mask(self, axes: list[Axis]) -> Any:
        """0 where a pair may attend, MASKED elsewhere: (1, windows, 1, pixels, pixels)."""
        rows, columns = (axis.regions() for axis in axes)  # (windows, pixels of the axis)
        shape = (-1, self.window**2)
        grids = [
            ops.reshape(rows[:, None, :, None] + 0 * columns[None, :, None, :], shape),
            ops.reshape(0 * rows[:, None, :, None] + columns[None, :, None, :], shape),
        ]
        apart = [grid[:, :, None] != grid[:, None, :] for grid in grids]
        filling = [grid[:, None, :] < 0 for grid in grids]
        barred = functools.reduce(ops.logical_or, [*apart, *filling])
        return ops.where(barred, MASKED, 0.0)[None, :, None]

    def compute_output_shape(self, query_shape: Any, key_shape: Any, value_shape: Any) -> tuple:
        return query_shape

    def get_config(self) -> dict[str, Any]:
        own = {"num_heads": self.num_heads, "window": self.window, "shifted": self.shifted}
        return {**super().get_config(), **own}


class Axis:
    """The height or the width of a map, in windows. Sizes may be tensors."""

    def __init__(self, side: Any, window: int, shifted: bool):
        self.side, self.window = side, window
        self.windows = (side + window - 1) // window
        self.whole = self.windows * window
        self.shift: Any = 0
        if shifted:
            half = window // 2
            is_number = isinstance(side, int)
            several = side > window
            self.shift = (half if several else 0) if is_number else ops.where(several, half, 0)

    def filled_and_moved(self, x: Any, place: int) -> Any:
        """Zeros behind the map up to whole windows, then rolled forward by the shift."""
        shape = list(ops.shape(x))
        shape[place] = self.whole - self.side
        x = ops.concatenate([x, ops.zeros(shape, dtype=x.dtype)], axis=place)
        return rolled(x, self.shift, place)

    def moved_back_and_cut(self, x: Any, place: int) -> Any:
        x = rolled(x, self.whole - self.shift, place)
        return cut(x, 0, self.side, place)

    def regions(self) -> Any:
        """A number (windows, window) float32 for each position: equal where pixels may attend.

        Pixels that moving has brought together from opposite borders differ; filling is -1.
        """
        place = ops.arange(self.whole)
        origin = (place + self.shift) % self.whole
        wrapped = place + self.shift >= self.whole
        region = ops.where(origin < self.side, ops.where(wrapped, 1.0, 0.0), -1.0)
        return ops.reshape(region, (-1, self.window))


def rolled(x: Any, by: Any, place: int) -> Any:
    """Of two slices, because not every exported format has an operation that rolls."""
    if isinstance(by, int) and by == 0:
        return x
    return ops.concatenate([cut(x, by, None, place), cut(x, 0, by, place)], axis=place)


def cut(x: Any, first: Any, last: Any, place: int) -> Any:
    return x[:, first:last] if place == 1 else x[:, :, first:last]


def attended(query: Any, key: Any, value: Any, bias: Any = None) -> Any:
    """softmax(q kᵀ / √d + bias) v of (…, pixels, heads, d), with the softmax in float32.

    Sums are einsum, since tf2onnx 1.17 confuses the axes of transposed heads where one has size 1.
    """
    scores = ops.einsum("...qhd,...khd->...hqk", query / math.sqrt(query.shape[-1]), key)
    scores = ops.cast(scores, "float32")
    scores = scores if bias is None else scores + bias
    weights = ops.cast(ops.softmax(scores), value.dtype)
    return ops.einsum("...hqk,...khd->...qhd", weights, value)
