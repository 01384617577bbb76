"""Parts that the transformers share: projections around attention, and the two-layer perceptron."""

from __future__ import annotations

import math

import keras
from keras import layers, ops

from flexunet_exp.models.attention import Attention, WindowAttention


@keras.saving.register_keras_serializable(package="flexunet_exp")
def gelu(x: keras.KerasTensor) -> keras.KerasTensor:
    """x Φ(x): Hendrycks and Gimpel (2016), arXiv:1606.08415.

    Keras's own becomes an operation of TensorFlow that tf2onnx 1.17 does not know (Erfc).
    """
    return 0.5 * x * (1 + ops.erf(x / math.sqrt(2)))


def normed(x: keras.KerasTensor, name: str, epsilon: float = 1e-6) -> keras.KerasTensor:
    """Layer normalisation over the features, in float32."""
    return layers.LayerNormalization(epsilon=epsilon, dtype="float32", name=f"{name}_norm")(x)


def dense(
    x: keras.KerasTensor, filters: int, name: str, use_bias: bool = True
) -> keras.KerasTensor:
    """A linear layer on the features of each pixel."""
    initializer = keras.initializers.TruncatedNormal(stddev=0.02)
    return layers.Dense(filters, use_bias=use_bias, kernel_initializer=initializer, name=name)(x)


def attend(
    x: keras.KerasTensor,
    name: str,
    attention: Attention | WindowAttention,
    source: keras.KerasTensor | None = None,
) -> keras.KerasTensor:
    """Projects x to queries and `source` (x itself if None) to keys and values; attends; projects.

    All projections have as many features as x.
    """
    filters = x.shape[-1]
    source = x if source is None else source
    query = dense(x, filters, f"{name}_query")
    key = dense(source, filters, f"{name}_key")
    value = dense(source, filters, f"{name}_value")
    return dense(attention(query, key, value), filters, f"{name}_projection")


def perceptron(
    x: keras.KerasTensor, hidden: int, name: str, dropout_rate: float = 0.0
) -> keras.KerasTensor:
    """To `hidden` features, GELU, and back; no activation behind the last layer."""
    filters = x.shape[-1]
    x = dense(x, hidden, f"{name}_hidden")
    x = layers.Activation(gelu, name=f"{name}_gelu")(x)
    x = dropped(x, f"{name}_hidden", dropout_rate)
    return dropped(dense(x, filters, f"{name}_output"), f"{name}_output", dropout_rate)


def dropped(x: keras.KerasTensor, name: str, rate: float) -> keras.KerasTensor:
    return layers.Dropout(rate, name=f"{name}_dropout")(x) if rate > 0 else x


def added(x: keras.KerasTensor, change: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.Add(name=name)([x, change])
