"""Batch normalisation of a training in one operation of TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

# What the number of filters must divide by, in float32 and in formats of 16 bits: for others the
# operation of oneDNN takes one to eight times as long as Keras's (docs/measured/speed.md).
STEP, STEP_OF_16_BITS = 4, 16


def fuse(model: keras.Model) -> keras.Model:
    """Lets TensorFlow compute each batch normalisation of a training by one operation.

    Keras computes mean, variance and result by ten operations, in float32 whatever the precision:
    each is a pass over the maps. The formulas and the running statistics are the same, up to
    rounding. Layers remain those of Keras, so that a stored network has nothing of this. Keras's
    own operations run where nothing is trained, where `format_of` gives None, and where XLA
    compiles the step of the compiled model: XLA joins them by itself, and its variance of the one
    operation can be negative. Ioffe and Szegedy (2015), arXiv:1502.03167. Returns the model.
    """
    if model.jit_compile:
        return model
    for layer in model._flatten_layers():
        if type(layer) is layers.BatchNormalization:
            layer.call = fused(layer, layer.call)
    return model


def format_of(layer: keras.Operation, shape: Sequence[int | None]) -> str | None:
    """The number format in which one operation computes a layer that takes maps (B, H, W, F).

    None where Keras computes it.
    """
    if type(layer) is not layers.BatchNormalization:  # a subclass may compute something else
        return None
    if layer.renorm or layer.synchronized or len(shape) != 4 or layer.axis not in (-1, 3):
        return None
    filters, given = shape[-1], layer.compute_dtype
    if given not in ("float32", "bfloat16", "float16") or layer.variable_dtype != "float32":
        return None
    if filters is None or filters % STEP:
        return None
    return "float32" if filters % STEP_OF_16_BITS else given


def fused(layer: layers.BatchNormalization, by_keras: Callable[..., Any]) -> Callable[..., Any]:
    """A `call` of the layer that trains in one operation, and leaves the rest to `by_keras`."""

    def call(inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        is_trained = training and layer.trainable and mask is None
        is_cast = inputs.dtype == layer.compute_dtype  # not of whole numbers, nor autocast=False
        if is_trained and is_cast and (dtype := format_of(layer, inputs.shape)):
            return tf.cast(normalised(layer, tf.cast(inputs, dtype)), inputs.dtype)
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
