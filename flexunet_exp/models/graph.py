"""Lists the layer calls of a model in the order of computation, nested models included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import keras
from keras import tree


class Call(NamedTuple):
    """One call of a layer or an operation. A layer that is used twice has two calls.

    `name` is the path through the nested models to the layer, such as "encoder/conv1". The tensors
    are symbolic. A tensor that one call returns and another call takes is one object.
    """

    name: str
    operation: keras.Operation
    inputs: list[keras.KerasTensor]
    outputs: list[keras.KerasTensor]


class Calls(NamedTuple):
    listed: list[Call]
    outputs: list[keras.KerasTensor]  # of the model


def calls_of(model: keras.Model, inputs: Sequence[keras.KerasTensor], path: str = "") -> Calls:
    """The calls that compute `model` for `inputs`; the model is not changed.

    A nested model is replaced by its own calls, once for each time it is called. Raises ValueError
    for a model without a graph of layers, and for a layer that gives no shape for its input.
    """
    graph = graph_of(model)
    if graph is None:
        raise ValueError(f"Model {model.name!r} is no functional one: it has no graph of layers.")
    values = {id(own): given for own, given in zip(graph.inputs, inputs, strict=True)}
    listed: list[Call] = []
    for node in nodes(graph):
        name, operation = path + node.operation.name, node.operation
        if node.is_input:
            placed = [values[id(own)] for own in node.outputs]
            listed += [] if path else [Call(name, operation, [], placed)]
            continue
        if any(id(own) not in values for own in node.input_tensors):
            continue  # the call computes the model's input, an inner tensor of another model
        args, kwargs = node.arguments.fill_in(values)
        given = [part for part in tree.flatten((args, kwargs)) if is_tensor(part)]
        if graph_of(operation):
            inner, outputs = calls_of(operation, given, f"{name}/")
            listed += inner
        else:
            outputs = output_specs(name, operation, args, kwargs)
            listed.append(Call(name, operation, given, outputs))
        values |= {id(own): output for own, output in zip(node.outputs, outputs, strict=True)}
    return Calls(listed, [values[id(own)] for own in graph.outputs])


def graph_of(operation: keras.Operation) -> keras.Function | None:
    """The graph of a functional or sequential model; None for a layer, or a model of a class."""
    if isinstance(operation, keras.Sequential):
        return operation._functional
    return operation if isinstance(operation, keras.Function) else None


def nodes(graph: keras.Function) -> Iterator:
    """The calls in a graph of its own operations, in the order in which Keras computes them."""
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from graph._nodes_by_depth[depth]


def output_specs(
    name: str, operation: keras.Operation, args: tuple, kwargs: dict
) -> list[keras.KerasTensor]:
    """New tensors of the shapes that a call gives; the operation does not record the call."""
    try:
        outputs = operation.compute_output_spec(*args, **kwargs)
    except Exception as error:  # of a layer of any package
        shapes = [part.shape for part in tree.flatten((args, kwargs)) if is_tensor(part)]
        found = ", ".join(map(str, shapes))
        raise ValueError(f"Layer {name!r} gives no shape for input {found}: {error}") from error
    return [keras.KerasTensor(part.shape, part.dtype) for part in tree.flatten(outputs)]


def is_tensor(part: object) -> bool:
    return isinstance(part, keras.KerasTensor)
