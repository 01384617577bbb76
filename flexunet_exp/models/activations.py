"""What the maps of a network take in memory, in a step of training and in a prediction.

It follows from the graph; nothing is computed or traced. The backward pass needs some of the maps
that the forward pass makes, as `needed` says by kind of layer. Each stays until the first layer
that needs it has computed its gradients: at the end of the forward pass all of them are there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from flexunet_exp.models import fused_norm
from flexunet_exp.models.attention import Attention, WindowAttention
from flexunet_exp.models.graph import Call

# The gradient of their weights is computed from their input.
WEIGHTED = (
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.DepthwiseConv2D,
    layers.Dense,
    layers.BatchNormalization,
)
# The gradient of their input is that of their output, moved, summed or multiplied by a number.
LINEAR = (
    layers.Add,
    layers.Average,
    layers.AveragePooling2D,
    layers.Concatenate,
    layers.Cropping2D,
    layers.GlobalAveragePooling2D,
    layers.Identity,
    layers.InputLayer,
    layers.Normalization,
    layers.Rescaling,
    layers.Reshape,
    layers.SpatialDropout2D,
    layers.ZeroPadding2D,
)
NORMS = (layers.BatchNormalization, layers.GroupNormalization, layers.LayerNormalization)
# Where `fused_norm` does not fit, they are products and differences in float32.
NORM_TEMPORARIES = 4  # maps, in the backward pass, beside the gradients of output and input

# Activations whose gradient is computed from their output.
FROM_OUTPUT = ("elu", "relu", "relu6", "selu", "sigmoid", "softmax", "tanh")
# Other activations: of how many maps of their own the gradient is computed, the input among them.
FROM_INPUT = {"linear": 0, "leaky_relu": 1, "silu": 1, "softplus": 1}
OF_OTHERS = 3  # such as gelu, which is made of several operations


class Map(NamedTuple):
    """A tensor in the number format in which a layer takes it."""

    tensor: int  # its id
    dtype: str
    bytes: int
    is_cast: bool  # whether the layer makes it from one of another format


class Use(NamedTuple):
    """A call in a step of training."""

    call: Call
    trains: bool  # whether it has weights that are trained
    passes: bool  # whether a gradient goes on to its inputs
    needs: list[Map]  # of the maps that layers exchange, those that its backward pass needs
    inner: int  # bytes of the maps within the layer that it needs


class Largest(NamedTuple):
    """The most bytes that maps take at once, in either pass."""

    forward: int
    backward: int


class Span(NamedTuple):
    """Bytes that are in memory from one call to another, both by number."""

    first: int
    last: int
    bytes: int


def kept(calls: Sequence[Call]) -> list[int]:
    """Bytes that the backward pass needs, for each call: of its outputs, and within it."""
    uses, makers = uses_of(calls), made_by(calls)
    found = [use.inner for use in uses]
    for one, number in first_needs(uses).items():
        found[number if one.is_cast else makers[one.tensor]] += one.bytes
    return found


def in_training(calls: Sequence[Call]) -> Largest:
    """The most that the maps of a network take in a step of training, without its loss."""
    uses, end = uses_of(calls), len(calls) - 1
    needed_from = first_needs(uses)
    waiting = [Span(number, end, one.bytes) for one, number in needed_from.items()]
    waiting += [Span(number, end, use.inner) for number, use in enumerate(uses)]
    gradients = [*spans_of_gradients(uses), *spans_of_temporaries(uses)]
    stay = {one.tensor for one in needed_from if not one.is_cast}
    return Largest(most_of_forward(calls, stay), most_at_once([*waiting, *gradients]))


def in_prediction(calls: Sequence[Call]) -> int:
    """The most that the maps of a network take at once where nothing is trained."""
    return most_of_forward(calls, set())


def most_of_forward(calls: Sequence[Call], stay: set[int]) -> int:
    """The most bytes at once in the forward pass; maps that `stay` are there until its end."""
    used_until = {id(one): number for number, call in enumerate(calls) for one in call.inputs}
    end = len(calls) - 1
    return most_at_once(
        Span(number, end if id(one) in stay else used_until.get(id(one), end), bytes_of(one))
        for number, call in enumerate(calls)
        for one in call.outputs
    )


def most_at_once(spans: Iterable[Span]) -> int:
    """The largest sum over spans that have a call in common."""
    changes: dict[int, int] = {}
    for span in spans:
        changes[span.first] = changes.get(span.first, 0) + span.bytes
        changes[span.last + 1] = changes.get(span.last + 1, 0) - span.bytes
    return max(accumulate(changes[number] for number in sorted(changes)))


def spans_of_gradients(uses: Sequence[Use]) -> Iterator[Span]:
    """Where the gradients of maps are in memory; the backward pass goes from the last call down.

    A map's gradient is the sum of one from each call that takes it. They wait for the last of these
    to be computed, and the sum waits for the call that made the map.
    """
    takers: dict[int, list[int]] = {}
    for number, use in enumerate(uses):
        for one in use.call.inputs:
            takers.setdefault(id(one), []).append(number)
    for number, use in enumerate(uses):
        for one in use.call.outputs if use.trains or use.passes else ():
            first, *others = takers.get(id(one), [len(uses) - 1])
            yield Span(number, first, bytes_of(one))
            yield from (Span(first, other, bytes_of(one)) for other in others)


def spans_of_temporaries(uses: Sequence[Use]) -> Iterator[Span]:
    for number, use in enumerate(uses):
        if use.needs and is_of_several_operations(use.call.operation, use.call.outputs[0]):
            size = sum(bytes_of(one, "float32") for one in use.call.outputs)
            yield Span(number, number, NORM_TEMPORARIES * size)


def first_needs(uses: Sequence[Use]) -> dict[Map, int]:
    """The first call that needs each map."""
    found: dict[Map, int] = {}
    for number, use in enumerate(uses):
        for one in use.needs:
            found.setdefault(one, number)
    return found


def made_by(calls: Sequence[Call]) -> dict[int, int]:
    """The number of the call that gives a tensor, by its id."""
    return {id(one): number for number, call in enumerate(calls) for one in call.outputs}


def uses_of(calls: Sequence[Call]) -> list[Use]:
    trained: set[int] = set()  # the tensors that depend on weights that are trained
    found = []
    for call in calls:
        trains = bool(getattr(call.operation, "trainable_weights", ()))
        passes = any(id(one) in trained for one in call.inputs)
        if trains or passes:
            trained |= {id(one) for one in call.outputs}
        found.append(Use(call, trains, passes, *needed(call, trains, passes)))
    return found


def needed(call: Call, trains: bool, passes: bool) -> tuple[list[Map], int]:
    """What the backward pass of a call needs: maps that it takes or gives, and bytes within it.

    A layer of another kind needs what it takes, and for each layer that it hides a map of the size
    of what it gives.
    """
    layer = call.operation
    if not (trains or passes) or isinstance(layer, LINEAR):
        return [], 0
    if isinstance(layer, WEIGHTED):
        maps, inner = of_activation(getattr(layer, "activation", None), call, inside=True)
        return [*(taken(call) if trains else ()), *maps], inner
    if isinstance(layer, layers.Activation):
        return of_activation(layer.activation, call, inside=False)
    if isinstance(layer, layers.ELU | layers.ReLU | layers.Softmax):
        return given(call), 0
    if isinstance(layer, layers.MaxPooling2D):
        return [*taken(call), *given(call)], 0
    if isinstance(layer, layers.UpSampling2D):
        return of_resampling(layer, call)
    output = call.outputs[0]
    if isinstance(layer, layers.Dropout):
        return [], bytes_of(output, "bool")  # which values it lets through
    if isinstance(layer, layers.LayerNormalization):
        return taken(call), bytes_of(output, "float32")  # a factor for each value
    if isinstance(layer, Attention | WindowAttention):
        return taken(call), bytes_of(output) + bytes_of_scores(layer, *call.inputs[:2])
    return taken(call), hidden(layer) * bytes_of(output)


def of_activation(activation: object, call: Call, inside: bool) -> tuple[list[Map], int]:
    """Of an activation, alone or `inside` a layer, where no other layer sees what it takes."""
    name = getattr(activation, "__name__", "linear")
    if name in FROM_OUTPUT:
        return given(call), 0
    number = FROM_INPUT.get(name, OF_OTHERS)
    if inside or name not in FROM_INPUT:
        return [], number * bytes_of(call.outputs[0])
    return (taken(call), (number - 1) * bytes_of(call.outputs[0])) if number else ([], 0)


def of_resampling(layer: layers.UpSampling2D, call: Call) -> tuple[list[Map], int]:
    """Interpolation is in float32; a cast back notes which values it clips, at either end."""
    if layer.interpolation == "nearest":
        return [], 0
    clips = 0 if layer.compute_dtype == "float32" else 2
    return taken(call), clips * bytes_of(call.outputs[0], "bool")


def bytes_of_scores(
    layer: Attention | WindowAttention, query: keras.KerasTensor, key: keras.KerasTensor
) -> int:
    """Of the weight of every pair of pixels that attend to each other, in float32."""
    pairs = math.prod(query.shape[1:3]) * math.prod(key.shape[1:3])
    if isinstance(layer, WindowAttention):
        windows = math.prod(math.ceil(side / layer.window) for side in query.shape[1:3])
        pairs = windows * layer.window**4
    return query.shape[0] * layer.num_heads * pairs * 4


def hidden(layer: keras.Operation) -> int:
    """How many layers a layer contains that the model's graph does not show."""
    within = layer._flatten_layers(include_self=False) if isinstance(layer, layers.Layer) else ()
    return len(list(within))


def taken(call: Call) -> list[Map]:
    """The inputs, in the number format that the layer computes in."""
    return [as_map(one, computed_in(call.operation, one)) for one in call.inputs]


def given(call: Call) -> list[Map]:
    return [as_map(one, one.dtype) for one in call.outputs]


def computed_in(layer: keras.Operation, tensor: keras.KerasTensor) -> str:
    if "float" not in tensor.dtype:
        return tensor.dtype
    if isinstance(layer, NORMS):
        return fused_norm.format_of(layer, tensor.shape) or "float32"
    return getattr(layer, "compute_dtype", tensor.dtype)


def is_of_several_operations(layer: keras.Operation, tensor: keras.KerasTensor) -> bool:
    """Whether a layer is a normalisation that a training computes operation by operation."""
    return isinstance(layer, NORMS) and fused_norm.format_of(layer, tensor.shape) is None


def as_map(tensor: keras.KerasTensor, dtype: str) -> Map:
    return Map(id(tensor), dtype, bytes_of(tensor, dtype), dtype != tensor.dtype)


def bytes_of(tensor: keras.KerasTensor | keras.Variable, dtype: str | None = None) -> int:
    """Of a tensor of known shape, in its own number format or another."""
    dtype = dtype or tensor.dtype
    size = 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
    return math.prod(tensor.shape) * size
