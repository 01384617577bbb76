"""Batch normalisation of a training in one operation of TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

# By number format, what the number of filters must divide by: for others the operation of oneDNN
# takes one to six times as long as Keras's (docs/measured/speed.md).
STEPS = {"float32": 4, "bfloat16": 16, "float16": 16}


def fuse(model: keras.Model) -> keras.Model:
    """Lets TensorFlow compute the batch normalisations of a training, each in one operation.

    Keras computes mean, variance and result by ten operations, in float32 whatever the precision:
    each is a pass over the maps. The formulas and the running statistics are the same, up to
    rounding. Layers remain those of Keras, so that a stored network has nothing of this. Keras's
    own operations run where nothing is trained and where `fits` says no. Ioffe and Szegedy (2015),
    arXiv:1502.03167. Returns the model.
    """
    for layer in model._flatten_layers():
        if type(layer) is layers.BatchNormalization:
            layer.call = fused(layer, layer.call)
    return model


def fits(layer: keras.Operation, shape: Sequence[int | None]) -> bool:
    """Whether a layer that takes maps of a shape (B, H, W, F) is computed in one operation."""
    if type(layer) is not layers.BatchNormalization:  # a subclass may compute something else
        return False
    if layer.renorm or layer.synchronized or len(shape) != 4 or layer.axis not in (-1, 3):
        return False
    filters, step = shape[-1], STEPS.get(layer.compute_dtype)
    return filters is not None and step is not None and filters % step == 0


def fused(layer: layers.BatchNormalization, by_keras: Callable[..., Any]) -> Callable[..., Any]:
    """A `call` of the layer that trains in one operation, and leaves the rest to `by_keras`."""

    def call(inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if training and layer.trainable and mask is None and fits(layer, inputs.shape):
            return normalised(layer, inputs)
        return by_keras(inputs, training=training, mask=mask)

    return call


def normalised(layer: layers.BatchNormalization, maps: Any) -> Any:
    """The maps (B, H, W, F) by their own mean and variance, which the running ones take up."""
    filters = maps.shape[-1]
    given, mean, unbiased = tf.compat.v1.nn.fused_batch_norm(
        maps,
        layer.gamma.value if layer.scale else tf.ones(filters),
        layer.beta.value if layer.center else tf.zeros(filters),
        epsilon=layer.epsilon,
    )
    # TensorFlow gives the variance over n - 1 values, and Keras keeps that over n.
    values = tf.cast(tf.size(maps) // filters, tf.float32)
    variance = unbiased * tf.maximum(values - 1, 1) / values
    for running, of_batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        running.assign(running * layer.momentum + of_batch * (1 - layer.momentum))
    return given
