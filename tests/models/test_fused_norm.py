"""Batch normalisation in one operation, beside Keras's own."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

from flexunet_exp.models import files
from flexunet_exp.models.fused_norm import format_of, fuse


def network(filters: int, precision: str = "float32", **options) -> keras.Model:
    """A compiled normalisation, whose weights and running statistics are drawn."""
    image = keras.Input((None, None, filters))
    norm = layers.BatchNormalization(dtype=precision, name="norm", **options)
    model = keras.Model(image, layers.Identity(dtype="float32")(norm(image)))
    model.compile("sgd", "mse")
    draw = np.random.default_rng(0)
    model.set_weights([draw.uniform(0.5, 2, one.shape) for one in model.weights])
    return model


def step(model: keras.Model, maps: np.ndarray, slope: np.ndarray) -> list[np.ndarray]:
    """Outputs, gradients to maps and weights, the running statistics after it, and predictions."""

    @tf.function
    def both(maps: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(maps)
            found = model(maps, training=True)
        return [found, *tape.gradient(found, [maps, *model.trainable_variables], slope)]

    found = [one.numpy() for one in both(tf.constant(maps))]
    return [*found, *model.get_weights(), model.predict_on_batch(maps)]


def operations(model: keras.Model) -> set[str]:
    """The kinds of operations of a traced step."""
    traced = tf.function(lambda maps: model(maps, training=True))
    shape = (1, 4, 4, model.inputs[0].shape[-1])
    graph = traced.get_concrete_function(tf.TensorSpec(shape)).graph
    return {operation.type for operation in graph.get_operations()}


@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    filters=st.sampled_from([4, 8, 16, 32]),
    precision=st.sampled_from(["float32", "mixed_bfloat16", "mixed_float16"]),
    scale=st.booleans(),
    center=st.booleans(),
)
def test_a_step_is_that_of_keras_up_to_rounding(shape, filters, precision, scale, center):
    options = {"scale": scale, "center": center, "momentum": 0.9, "epsilon": 1e-2}
    draw = np.random.default_rng(1)
    maps = draw.normal(3, 2, (*shape, filters)).astype(np.float32)
    slope = draw.normal(size=maps.shape).astype(np.float32)
    by_keras = step(network(filters, precision, **options), maps, slope)
    model = fuse(network(filters, precision, **options))
    assert "FusedBatchNormV3" in operations(model)
    near = {"float32": 1e-4, "mixed_bfloat16": 2e-2, "mixed_float16": 2e-3}[precision]
    for ours, theirs in zip(step(model, maps, slope), by_keras, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=near * max(1, np.abs(theirs).max()))


def test_the_statistics_are_those_of_numpy():
    model = fuse(network(4, momentum=0.75))
    mean, variance = (one.numpy() for one in model.non_trainable_variables)
    maps = np.random.default_rng(1).normal(3, 2, (2, 3, 5, 4)).astype(np.float32)
    model(maps, training=True)
    found = [one.numpy() for one in model.non_trainable_variables]
    np.testing.assert_allclose(found[0], 0.75 * mean + 0.25 * maps.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found[1], 0.75 * variance + 0.25 * maps.var((0, 1, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    "filters, precision, expected",
    [
        (4, "float32", "float32"),
        (8, "mixed_bfloat16", "float32"),
        (24, "mixed_float16", "float32"),
        (32, "mixed_bfloat16", "bfloat16"),
        (32, "mixed_float16", "float16"),
    ],
)
def test_the_format_in_which_it_is_computed(filters, precision, expected):
    layer = layers.BatchNormalization(dtype=precision)
    assert format_of(layer, (None, None, None, filters)) == expected


class Other(layers.BatchNormalization):
    pass


@pytest.mark.parametrize(
    "filters, layer",
    [
        (5, layers.BatchNormalization()),
        (6, layers.BatchNormalization(dtype="mixed_bfloat16")),
        (16, layers.BatchNormalization(dtype="bfloat16")),
        (16, layers.BatchNormalization(dtype="float64")),
        (16, layers.BatchNormalization(axis=1)),
        (16, layers.BatchNormalization(renorm=True)),
        (16, layers.BatchNormalization(synchronized=True)),
        (16, Other()),
    ],
)
def test_others_are_left_to_keras(filters, layer):
    image = keras.Input((4, 4, filters))
    model = fuse(keras.Model(image, layer(image)))
    assert format_of(layer, image.shape) is None
    assert "FusedBatchNormV3" not in operations(model)


def test_a_layer_that_is_not_trained_has_its_running_statistics():
    model = fuse(network(4))
    maps = np.random.default_rng(1).normal(3, 2, (2, 3, 5, 4)).astype(np.float32)
    expected, before = network(4)(maps), model.get_weights()
    np.testing.assert_array_equal(model(maps, training=False), expected)
    model.get_layer("norm").trainable = False
    np.testing.assert_array_equal(model(maps, training=True), expected)
    for found, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, was)


def test_layers_within_a_model_are_found():
    image = keras.Input((4, 4, 16))
    model = fuse(keras.Model(image, network(16)(image)))
    assert "FusedBatchNormV3" in operations(model)


def test_a_stored_network_is_one_of_keras(tmp_path):
    model = fuse(network(16))
    files.save_model(model, tmp_path / "best.keras")
    stored = keras.saving.load_model(tmp_path / "best.keras")
    assert type(stored.get_layer("norm")) is layers.BatchNormalization
    assert "FusedBatchNormV3" not in operations(stored)
    maps = np.random.default_rng(1).normal(3, 2, (2, 4, 4, 16)).astype(np.float32)
    np.testing.assert_array_equal(stored.predict_on_batch(maps), model.predict_on_batch(maps))


def test_what_is_not_in_the_format_of_the_layer_is_left_to_keras():
    image = keras.Input((4, 4, 16), dtype="uint8")
    model = fuse(keras.Model(image, layers.BatchNormalization()(image)))
    model(np.full((1, 4, 4, 16), 7, np.uint8), training=True)
    maps = keras.Input((4, 4, 16))
    norm = layers.BatchNormalization(dtype="mixed_bfloat16", autocast=False)
    assert fuse(keras.Model(maps, norm(maps)))(np.ones((1, 4, 4, 16)), training=True).dtype == (
        tf.bfloat16
    )


def test_where_xla_compiles_the_step_nothing_is_changed():
    """There the one operation would have a variance below 0, and NaN."""
    model = network(16)
    model.compile("sgd", "mse", jit_compile=True)
    assert "FusedBatchNormV3" not in operations(fuse(model))


def test_maps_far_from_zero_keep_their_variance():
    maps = np.random.default_rng(1).normal(1000, 0.1, (2, 8, 8, 16)).astype(np.float32)
    model = fuse(network(16, momentum=0.0))
    model(maps, training=True)
    variance = model.non_trainable_variables[1].numpy()
    np.testing.assert_allclose(variance, maps.var((0, 1, 2), dtype=np.float64), rtol=0.05)
