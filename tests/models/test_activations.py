"""What maps take in memory, by hand and against the step that TensorFlow traces."""

from __future__ import annotations

import math

import keras
import pytest
import tensorflow as tf
from keras import layers

from flexunet_exp.models import activations
from flexunet_exp.models.attention_unet import attention_unet
from flexunet_exp.models.flexunet import flexunet
from flexunet_exp.models.fused_norm import fuse
from flexunet_exp.models.graph import Call, calls_of
from flexunet_exp.models.unet import unet

VIEWS = ("Reshape", "Identity", "Squeeze", "ExpandDims", "StopGradient")  # of the same memory
NOT_MAPS = ("Const", "Placeholder", "ReadVariableOp", "VarHandleOp")


def calls(model: keras.Model, height: int, width: int) -> list[Call]:
    image = keras.KerasTensor((1, height, width, model.input.shape[-1]), model.input.dtype)
    return calls_of(model, [image]).listed


def kept(model: keras.Model, height: int = 4, width: int = 8) -> dict[str, int]:
    """The bytes of the layers that keep some, by name."""
    listed = calls(model, height, width)
    sizes = zip(listed, activations.kept(listed), strict=True)
    return {call.name: size for call, size in sizes if size}


def chain(*parts: layers.Layer) -> keras.Model:
    x = image = keras.Input((None, None, 3), dtype="uint8", name="image")
    for part in (layers.Rescaling(1 / 255, dtype="float32", name="scaling"), *parts):
        x = part(x)
    return keras.Model(image, x)


def convolution(name: str, filters: int = 2, **options) -> layers.Conv2D:
    return layers.Conv2D(filters, 3, padding="same", name=name, **options)


def test_the_maps_of_a_tiny_network_by_hand():
    model = chain(
        convolution("first"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="relu"),
        layers.MaxPooling2D(name="pool"),
        convolution("second", activation="relu"),
        layers.Dropout(0.5, name="dropout"),
        layers.UpSampling2D(2, interpolation="bilinear", name="up"),
        convolution("head"),
    )
    pixels = 4 * 8
    assert kept(model) == {
        "scaling": pixels * 3 * 4,  # of which the first convolution's gradient is computed
        "first": pixels * 2 * 4,  # likewise of batch normalisation
        "relu": pixels * 2 * 4,  # says where the gradient passes; pooling takes it, too
        "pool": pixels // 4 * 2 * 4,
        "second": pixels // 4 * 2 * 4,  # where its activation lets the gradient pass
        "dropout": pixels // 4 * 2 * (4 + 1),  # which resampling takes; and which values it drops
        "up": pixels * 2 * 4,
    }


def test_a_frozen_part_keeps_nothing():
    parts = convolution("first", activation="relu"), convolution("second"), convolution("head")
    model = chain(*parts)
    for name in ("first", "second"):
        model.get_layer(name).trainable = False
    assert kept(model) == {"second": 4 * 8 * 2 * 4}


def test_a_frozen_layer_behind_a_trained_one_passes_the_gradient_and_needs_no_input():
    model = chain(convolution("first"), convolution("second", activation="relu"))
    model.get_layer("second").trainable = False
    assert kept(model) == {"scaling": 4 * 8 * 3 * 4, "second": 4 * 8 * 2 * 4}


def test_reduced_precision_halves_maps_but_those_of_normalisation():
    model = chain(
        convolution("first", dtype="mixed_bfloat16"),
        layers.BatchNormalization(name="norm", dtype="mixed_bfloat16"),
        convolution("head", dtype="float32"),
    )
    pixels = 4 * 8
    assert kept(model) == {
        "first": pixels * 3 * 2,  # the image, cast
        "norm": pixels * 2 * 4,  # its input, cast
        "head": pixels * 2 * 4,  # likewise
    }


def test_normalisation_in_one_operation_needs_its_input_as_it_is():
    """Of 16 filters; others are computed in float32."""
    model = chain(
        convolution("first", 16, dtype="mixed_bfloat16"),
        layers.BatchNormalization(name="norm", dtype="mixed_bfloat16"),
        convolution("head", dtype="mixed_bfloat16"),
    )
    pixels = 4 * 8
    kept_maps = {"first": pixels * (3 + 16) * 2, "norm": pixels * 16 * 2}
    assert kept(model) == kept_maps


def test_a_layer_that_hides_others_counts_a_map_for_each():
    class Two(layers.Layer):
        def __init__(self):
            super().__init__(name="two")
            self.parts = [convolution("a"), convolution("b")]

        def build(self, shape):
            self.parts[0].build(shape)
            self.parts[1].build((*shape[:-1], 2))

        def call(self, x):
            return self.parts[1](self.parts[0](x))

        def compute_output_shape(self, shape):
            return (*shape[:-1], 2)

    model = chain(convolution("first"), Two(), convolution("head"))
    pixels = 4 * 8
    assert kept(model)["two"] == (2 + 1) * pixels * 2 * 4  # and its output, of which head's is
    assert kept(model)["first"] == pixels * 2 * 4


def kept_by_tensorflow(model: keras.Model, height: int, width: int) -> int:
    """The bytes of the maps that the backward part of a traced step takes of the forward part."""

    @tf.function
    def step(images):
        with tf.GradientTape() as tape:
            output = tf.reduce_sum(model(images, training=True))
        return tape.gradient(output, model.trainable_variables)

    spec = tf.TensorSpec((1, height, width, model.input.shape[-1]), model.input.dtype)
    found = {}
    for operation in computed(step.get_concrete_function(spec).graph):
        if not is_backward(operation) or operation.type in ("Shape", "ShapeN"):
            continue
        for tensor in operation.inputs:
            while tensor.op.type in VIEWS:
                tensor = tensor.op.inputs[0]
            if tensor.shape.rank is None:  # what normalisation reserves on a GPU
                continue
            if not is_backward(tensor.op) and tensor.op.type not in NOT_MAPS:
                found[tensor.name] = math.prod(tensor.shape.as_list()) * tensor.dtype.size
    return sum(found.values())


def computed(graph: tf.Graph) -> list[tf.Operation]:
    """The operations that the outputs need; TensorFlow leaves out the others."""
    waiting, found = [tensor.op for tensor in graph.outputs], {}
    while waiting:
        operation = waiting.pop()
        if operation.name not in found:
            found[operation.name] = operation
            waiting += [tensor.op for tensor in operation.inputs]
    return list(found.values())


def is_backward(operation: tf.Operation) -> bool:
    return operation.name.startswith(("gradient_tape", "AddN"))


ENCODER = {"_target_": "flexunet_exp.models.encoders.efficientnet_lite.efficientnet_lite0"}
NETWORKS = {
    "flexunet": lambda shape: flexunet(shape, 4, base_filters=4, num_layers=3, dropout_rate=0),
    "batch norm": lambda shape: flexunet(shape, 4, 4, 3, 3, dropout_rate=0, batch_norm=True),
    "attention": lambda shape: attention_unet(shape, 4, base_filters=4, num_layers=3),
    "encoder": lambda shape: unet(shape, 4, ENCODER, None, encoder_trainable="all"),
    "frozen encoder": lambda shape: unet(shape, 4, ENCODER, None, decoder_filters=8),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_kept_maps_are_those_that_a_traced_step_takes(name):
    model = fuse(NETWORKS[name]((64, 96, 3)))
    expected = kept_by_tensorflow(model, 64, 96)
    assert sum(kept(model, 64, 96).values()) == pytest.approx(expected, rel=0.05)


def test_a_prediction_takes_what_is_still_used():
    first = keras.Input((None, None, 1))
    second = layers.Concatenate()([first, convolution("a")(first)])
    model = keras.Model(first, convolution("b", 1)(second))
    pixels = 4 * 8 * 4
    # The image, until it is concatenated; the map; both together.
    assert activations.in_prediction(calls(model, 4, 8)) == pixels * (1 + 2 + 3)


def test_the_backward_pass_has_the_gradients_of_a_layer_beside_the_kept_maps():
    model = chain(convolution("first", 4), convolution("head", 2))
    pixels = 4 * 8 * 4
    # At the last layer: the image and its input, the gradients of its output and of its input.
    expected = pixels * (3 + 4) + pixels * (2 + 4)
    assert activations.in_training(calls(model, 4, 8)).backward == expected
