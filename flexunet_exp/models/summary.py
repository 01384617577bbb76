"""What a model is made of: its layers, what they cost, and how far one output pixel sees.

For functional models with one input and one output that use each of their layers once.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd
from keras import layers, tree
from rich import box
from rich.console import Console
from rich.table import Table

COLUMNS = ("layer", "output", "kernel", "dilation", "parameters", "multiply_adds")

# Layers whose output pixel sees the same pixel of their inputs and no other.
POINTWISE = (
    layers.Activation,
    layers.Add,
    layers.Average,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Dropout,
    layers.InputLayer,
    layers.Multiply,
    layers.Rescaling,
)
WINDOWED = (
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.DepthwiseConv2D,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
)

# Output positions that are looked at: all there are on the pooling grid of up to eleven levels.
POSITIONS = 1024
WIDTH = 100
Rows = np.ndarray


def layer_table(model: keras.Model, input_shape: Sequence[int]) -> pd.DataFrame:
    """A row a layer, in the order of computing, for one image of `input_shape` (H, W, channels).

    Columns: `layer`, `output` such as "512x512x16", `kernel` and `dilation` such as "9x9" (empty
    where a layer has none), `parameters`, `multiply_adds`. Biases, activations, normalisation,
    resampling and products of maps are not counted as multiply-adds, as is usual.
    """
    shapes = output_shapes(model, input_shape)
    rows = [
        {
            "layer": layer.name,
            "output": times(shape),
            "kernel": times(getattr(layer, "kernel_size", ())),
            "dilation": times(getattr(layer, "dilation_rate", ())),
            "parameters": layer.count_params(),
            "multiply_adds": multiply_adds(layer, shape),
        }
        for layer, shape in shapes
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def receptive_field(model: keras.Model) -> int | None:
    """Rows of input pixels that can change one pixel of the output, at the most.

    Follows the rows that each layer reads from the output back to the input, for every position of
    the output pixel relative to the pooling grid, since that decides how far it sees. None where
    the graph holds a layer whose reach is not known here. Source: Araujo et al., "Computing
    Receptive Fields of Convolutional Neural Networks" (2019), doi:10.23915/distill.00021.
    """
    positions = np.arange(POSITIONS)
    rows = {id(model.output): (positions, positions)}
    for layer in reversed(model.operations):
        read = rows_read(layer, *rows[id(layer.output)])
        if read is None:
            return None
        for source in [] if isinstance(layer, layers.InputLayer) else tree.flatten(layer.input):
            first, last = rows.get(id(source), read)
            rows[id(source)] = np.minimum(first, read[0]), np.maximum(last, read[1])
    first, last = rows[id(model.input)]
    return int((last - first).max()) + 1


def describe(model: keras.Model, input_shape: Sequence[int]) -> str:
    """The layers and totals for images of `input_shape`: plain text, at most 100 columns wide."""
    table = layer_table(model, input_shape)
    rows = Table(box=box.ASCII, title=f"{model.name}, input {times(input_shape)}")
    for column in COLUMNS:
        numbers = column in ("parameters", "multiply_adds")
        rows.add_column(column.replace("_", "-"), justify="right" if numbers else "left")
    for row in table.itertuples(index=False):
        costs = (f"{number:,}" if number else "" for number in row[-2:])
        rows.add_row(*row[:-2], *costs)
    text = io.StringIO()
    console = Console(file=text, width=WIDTH, color_system=None)
    console.print(rows)
    console.print(totals(model, int(table["multiply_adds"].sum())), highlight=False)
    return text.getvalue()


def totals(model: keras.Model, operations: int) -> str:
    parameters = model.count_params()
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    seen = receptive_field(model)
    lines = {
        "parameters": f"{parameters:,} ({trainable:,} trainable, {parameters - trainable:,} not)",
        "size": f"{parameters * 4 / 2**20:.1f} MiB in float32",
        "multiply-adds": f"{operations / 1e9:,.1f} G an image",
        "receptive field": "unknown" if seen is None else f"{seen} x {seen} pixels",
    }
    return "\n".join(f"{name + ':':<17}{text}" for name, text in lines.items())


def output_shapes(
    model: keras.Model, input_shape: Sequence[int]
) -> list[tuple[keras.layers.Layer, tuple[int, ...]]]:
    """Every layer with its output's shape, without the batch, for one image of `input_shape`."""
    probe = keras.Model(model.input, [layer.output for layer in model.layers])
    image = keras.Input(batch_shape=(1, *input_shape), dtype=model.input.dtype)
    outputs = probe(image)
    return [(layer, out.shape[1:]) for layer, out in zip(model.layers, outputs, strict=True)]


def multiply_adds(layer: keras.layers.Layer, output_shape: tuple[int, ...]) -> int:
    """Every weight of a kernel is used once an output position; transposed, once an input one."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    positions = math.prod(output_shape[:-1])
    if isinstance(layer, layers.Conv2DTranspose):
        positions //= math.prod(layer.strides)
    return positions * math.prod(kernel.shape)


def rows_read(layer: keras.layers.Layer, first: Rows, last: Rows) -> tuple[Rows, Rows] | None:
    """The rows of its input that a layer reads for the rows `first` .. `last` of its output.

    Padding "same" is taken as TensorFlow pads a height that the stride divides.
    """
    if isinstance(layer, POINTWISE):
        return first, last
    if isinstance(layer, layers.UpSampling2D):
        return rows_resampled(layer, first, last)
    if not isinstance(layer, WINDOWED):
        return None
    is_pool = isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D)
    size = (layer.pool_size if is_pool else layer.kernel_size)[0]
    reach = (size - 1) * (1 if is_pool else layer.dilation_rate[0])
    stride = layer.strides[0]
    before = max(reach + 1 - stride, 0) // 2 if layer.padding == "same" else 0
    if isinstance(layer, layers.Conv2DTranspose):
        # Input row i adds to the output rows i * stride - before .. + reach: solved for i.
        return -((reach - before - first) // stride), (last + before) // stride
    return first * stride - before, last * stride - before + reach


def rows_resampled(layer: layers.UpSampling2D, first: Rows, last: Rows) -> tuple[Rows, Rows] | None:
    """The rows of its input between which a layer interpolates the rows `first` .. `last`.

    The centre of row r lies at (r + 1/2) / factor - 1/2 in the input.
    """
    factor = layer.size[0]
    if layer.interpolation == "nearest":
        return first // factor, last // factor
    if layer.interpolation != "bilinear":
        return None
    span = 2 * factor
    return (2 * first + 1 - factor) // span, -((factor - 1 - 2 * last) // span)


def times(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))
