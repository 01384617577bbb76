"""A summary of a model: its layers, their costs, and the receptive field.

For functional models with one input and one output; nested models are followed.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import layers
from rich import box
from rich.console import Console
from rich.table import Table

from flexunet_exp.models import activations
from flexunet_exp.models.graph import Call, calls_of

COLUMNS = ("layer", "output", "kernel", "dilation", "parameters", "multiply_adds", "kept_mb")
NUMBERS = COLUMNS[-3:]

# Layers whose output pixel depends on the same pixel of their inputs alone.
POINTWISE = (
    layers.Activation,
    layers.Add,
    layers.Average,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Dropout,
    layers.ELU,
    layers.Identity,
    layers.LeakyReLU,
    layers.Multiply,
    layers.Normalization,
    layers.PReLU,
    layers.ReLU,
    layers.Rescaling,
    layers.SpatialDropout2D,
)
WINDOWED = (
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
)

TITLES = {"multiply_adds": "multiply-adds", "kept_mb": "kept MB"}

KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")

# Output positions tried: all positions on the pooling grid of up to eleven levels.
POSITIONS = 1024
WIDTH = 100
Rows = np.ndarray


def layer_table(model: keras.Model, input_shape: Sequence[int]) -> pd.DataFrame:
    """A row for each use of a layer, in the order of computing, for one image of `input_shape`.

    Columns: `layer` (of a nested model "encoder/conv1"), `output` such as "512x512x16", `kernel`
    and `dilation` such as "9x9" (empty where a layer has none), `parameters` (in the first row of a
    layer that is used several times), `multiply_adds`, and `kept_mb`: the megabytes that the
    backward pass of a training needs of what the layer makes. As is usual, multiply-adds leave out
    biases, activations, normalisation, resampling and products of maps. `input_shape` is
    (H, W, channels). Raises ValueError where a layer gives no shape for its input.
    """
    return pd.DataFrame(layer_rows(calls_for(model, input_shape)), columns=list(COLUMNS))


def calls_for(model: keras.Model, input_shape: Sequence[int]) -> list[Call]:
    """The calls for one image of `input_shape`."""
    return calls_of(model, [keras.KerasTensor((1, *input_shape), model.input.dtype)]).listed


def layer_rows(calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """The rows of layers; other operations are left out."""
    counted: set[int] = set()
    for (name, layer, _, outputs), kept in zip(calls, activations.kept(calls), strict=True):
        if not isinstance(layer, layers.Layer):
            continue
        shapes = [output.shape[1:] for output in outputs]
        yield {
            "layer": name,
            "output": ", ".join(map(times, shapes)),
            "kernel": times(getattr(layer, "kernel_size", ())),
            "dilation": times(getattr(layer, "dilation_rate", ())),
            "parameters": 0 if id(layer) in counted else layer.count_params(),
            "multiply_adds": multiply_adds(layer, shapes[0]),
            "kept_mb": kept / 1e6,
        }
        counted.add(id(layer))


def receptive_field(model: keras.Model) -> int | None:
    """The largest number of input rows that can change one pixel of the output.

    Follows the rows that each layer reads, from the output back to the input. The number depends on
    the position of the output pixel on the pooling grid, so every position is tried. None where the
    graph holds a layer that `rows_read` does not know. Source: Araujo et al., "Computing Receptive
    Fields of Convolutional Neural Networks" (2019), doi:10.23915/distill.00021.
    """
    positions = np.arange(POSITIONS)
    image = keras.KerasTensor(model.input.shape, model.input.dtype)
    calls, (output,) = calls_of(model, [image])
    rows = {id(output): (positions, positions)}
    for call in reversed(calls):
        wanted = [rows[id(output)] for output in call.outputs if id(output) in rows]
        if not wanted or not call.inputs:  # an output nobody uses, or the image itself
            continue
        read = rows_read(call.operation, *widest(wanted))
        if read is None:
            return None
        for source in call.inputs:
            rows[id(source)] = widest([read, rows.get(id(source), read)])
    first, last = rows[id(image)]
    return int((last - first).max()) + 1


def widest(ranges: Sequence[tuple[Rows, Rows]]) -> tuple[Rows, Rows]:
    """From the first to the last row of several ranges of rows, for each position."""
    first, last = zip(*ranges, strict=True)
    return np.minimum.reduce(first), np.maximum.reduce(last)


def describe(model: keras.Model, input_shape: Sequence[int]) -> str:
    """The layers and totals for images of `input_shape`: plain text, at most 100 columns wide.

    Raises ValueError where a layer gives no shape for its input.
    """
    calls = calls_for(model, input_shape)
    table = pd.DataFrame(layer_rows(calls), columns=list(COLUMNS))
    rows = Table(box=box.ASCII, title=f"{model.name}, input {times(input_shape)}")
    for column in COLUMNS:
        title = TITLES.get(column, column)
        rows.add_column(title, justify="right" if column in NUMBERS else "left")
    for row in table.itertuples(index=False):
        costs = (f"{number:,}" if number else "" for number in row[-3:-1])
        rows.add_row(*row[:-3], *costs, f"{row[-1]:,.2f}" if row[-1] else "")
    operations = f"{table['multiply_adds'].sum() / 1e9:,.1f} G an image"
    if unknown := sorted({call.name for call in calls if is_opaque(call.operation)}):
        operations = f"at least {operations} (not counted: {', '.join(unknown)})"
    text = io.StringIO()
    console = Console(file=text, width=WIDTH, color_system=None)
    console.print(rows)
    console.print(totals(model, operations, receptive_field(model)), highlight=False)
    return text.getvalue()


def undescribed(model: keras.Model, reason: Exception) -> str:
    """The text in place of a failed `describe`: the reason, and the totals that need no graph."""
    return f"{model.name}: no layer table. {reason}\n{totals(model, 'unknown', None)}\n"


def totals(model: keras.Model, operations: str, seen: int | None) -> str:
    parameters = model.count_params()
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    lines = {
        "parameters": f"{parameters:,} ({trainable:,} trainable, {parameters - trainable:,} not)",
        "size": f"{parameters * 4 / 2**20:.1f} MiB in float32",
        "multiply-adds": operations,
        "receptive field": "unknown" if seen is None else f"{seen} x {seen} pixels",
    }
    return "\n".join(f"{name + ':':<17}{text}" for name, text in lines.items())


def is_opaque(layer: keras.Operation) -> bool:
    """Whether a layer contains other layers that the model's graph does not show."""
    return activations.hidden(layer) > 0


def multiply_adds(layer: layers.Layer, output_shape: tuple[int, ...]) -> int:
    """A kernel weight is used once an output position; once an input position if transposed."""
    positions = math.prod(output_shape[:-1])
    if isinstance(layer, layers.Conv2DTranspose):
        positions //= math.prod(layer.strides)
    kernels = (getattr(layer, name, None) for name in KERNELS)
    return positions * sum(math.prod(kernel.shape) for kernel in kernels if kernel is not None)


def rows_read(layer: keras.Operation, first: Rows, last: Rows) -> tuple[Rows, Rows] | None:
    """The rows of its input that a layer reads for the rows `first` .. `last` of its output.

    Padding "same" is that of TensorFlow for a height that the stride divides. None for a layer
    of another kind.
    """
    if isinstance(layer, POINTWISE):
        return first, last
    if isinstance(layer, layers.UpSampling2D):
        return rows_resampled(layer, first, last)
    if isinstance(layer, layers.ZeroPadding2D | layers.Cropping2D):
        moved = (
            layer.padding[0][0]
            if isinstance(layer, layers.ZeroPadding2D)
            else -layer.cropping[0][0]
        )
        return first - moved, last - moved
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
