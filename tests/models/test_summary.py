"""What a model is said to cost and to see, against published figures and against trying it out."""

from __future__ import annotations

import re

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers

from flexunet_exp.models.attention_unet import attention_unet
from flexunet_exp.models.flexunet import flexunet
from flexunet_exp.models.summary import describe, layer_table, receptive_field, undescribed

FULL_SIZE = (512, 512, 3)


def outline(*args, **settings) -> keras.Model:
    """A FlexUNet whose variables have shapes and no memory."""
    with keras.StatelessScope(initialize_variables=False):
        return flexunet(*args, **settings)


@pytest.fixture(scope="module")
def zipper() -> keras.Model:
    return outline(FULL_SIZE, 8)


def test_published_rows_of_the_zipper_network(zipper):
    rows = layer_table(zipper, FULL_SIZE).set_index("layer")
    expected = {
        "encoder0_conv1": ("512x512x16", "9x9", 3_904),
        "encoder3_conv2": ("64x64x128", "3x3", 147_584),
        "bridge_conv2": ("4x4x2048", "3x3", 37_750_784),
        "decoder6_up": ("8x8x1024", "2x2", 8_389_632),
        "decoder6_concat": ("8x8x2048", "", 0),
        "decoder1_conv1": ("256x256x32", "7x7", 100_384),
        "head": ("512x512x8", "1x1", 136),
    }
    for layer, row in expected.items():
        assert tuple(rows.loc[layer, ["output", "kernel", "parameters"]]) == row
    assert rows["parameters"].sum() == 124_996_968


@pytest.mark.parametrize(
    ("num_classes", "settings", "giga"),
    [(8, {}, 57.9), (5, {"base_kernel": 11, "dilation": 3}, 90.8)],
)
def test_published_multiply_adds(num_classes, settings, giga):
    table = layer_table(outline(FULL_SIZE, num_classes, **settings), FULL_SIZE)
    assert table["multiply_adds"].sum() / 1e9 == pytest.approx(giga, abs=0.05)


def test_multiply_adds_by_hand():
    model = outline((4, 8, 3), 2, base_filters=2, num_layers=2, base_kernel=5)
    cost = layer_table(model, (4, 8, 3)).set_index("layer")["multiply_adds"]
    assert cost["encoder0_conv1"] == (4 * 8) * (5 * 5) * 3 * 2
    assert cost["bridge_conv1"] == (2 * 4) * (3 * 3) * 2 * 4
    assert cost["decoder0_up"] == (2 * 4) * (2 * 2) * 4 * 2
    assert cost["head"] == (4 * 8) * 2 * 2
    assert cost["encoder0_pool"] == 0


def test_multiply_adds_of_a_gate_by_hand():
    model = attention_unet((16, 32, 3), 2, base_filters=2, num_layers=3)
    cost = layer_table(model, (16, 32, 3)).set_index("layer")["multiply_adds"]
    assert cost["gate1_skip"] == (4 * 8) * (2 * 2) * 4 * 4
    assert cost["gate1_gating"] == (4 * 8) * 8 * 4
    assert cost["gate1_coefficients"] == (4 * 8) * 4
    assert cost["decoder1_conv1"] == (8 * 16) * (3 * 3) * (8 + 4) * 4
    assert not cost[["gate1_resampled", "gate1", "decoder1_up"]].any()


def rows_seen(model: keras.Model, height: int, width: int) -> np.ndarray:
    """How many rows from the first to the last input row that changes it each output row sees.

    With positive weights no two contributions cancel, and an all-zero picture gives zero, so one
    bright row at a time shows in each output row that sees it.
    """
    model.set_weights([np.full(w.shape, 0.0 if w.ndim == 1 else 0.1) for w in model.get_weights()])
    lines = np.zeros((height, height, width, 3), np.uint8)
    lines[np.arange(height), np.arange(height)] = 255
    seen = np.asarray(model.predict_on_batch(lines)).sum(axis=(2, 3)).T > 0
    first, last = seen.argmax(axis=1), height - 1 - seen[:, ::-1].argmax(axis=1)
    return last - first + 1


@pytest.mark.parametrize(
    "settings",
    [
        {"num_layers": 1, "base_kernel": 7, "dilation": 2},
        {"num_layers": 2, "base_kernel": 5},
        {"num_layers": 3, "base_kernel": 3, "dilation": 2},
        {"num_layers": 3, "base_kernel": 5, "dilation": 3},
    ],
)
def test_receptive_field_is_what_changes_an_output_pixel(settings):
    height = 160
    model = flexunet((height, 4, 3), 2, base_filters=1, dropout_rate=0, **settings)
    middle = rows_seen(model, height, 4)[height // 2 - 8 : height // 2 + 8]
    assert receptive_field(model) == middle.max()


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_receptive_field_through_strides_and_overlapping_windows(padding):
    x = image = keras.Input((None, None, 3), dtype="uint8")
    for layer in (
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(1, 7, strides=2, padding=padding),
        keras.layers.AveragePooling2D(3, strides=2, padding=padding),
        keras.layers.DepthwiseConv2D(3, padding=padding),
        keras.layers.Conv2DTranspose(1, 5, strides=2, padding=padding),
    ):
        x = layer(x)
    model = keras.Model(image, x)
    middle = rows_seen(model, 128, 128)[20:40]
    assert receptive_field(model) == middle.max()


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_receptive_field_through_resampling(interpolation, factor):
    x = image = keras.Input((None, None, 3), dtype="uint8")
    for layer in (
        keras.layers.Rescaling(1 / 255),
        keras.layers.AveragePooling2D(factor),
        keras.layers.UpSampling2D(factor, interpolation=interpolation),
        keras.layers.Conv2D(1, 3, padding="same"),
        keras.layers.UpSampling2D(factor, interpolation=interpolation),
    ):
        x = layer(x)
    model = keras.Model(image, x)
    middle = rows_seen(model, 48, 48)[20 * factor : 28 * factor]
    assert receptive_field(model) == middle.max()


def rows_with_gradient(model: keras.Model, height: int, row: int) -> int:
    """From the first to the last input row that an output row's gradient reaches.

    With positive weights no two gradients cancel. A max pooling passes its gradient to the brighter
    pixel alone: the upper in a picture that darkens downwards, the lower in one that brightens.
    """
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 0.3, weight.shape) for weight in model.get_weights()])
    after_scaling = keras.Model(model.get_layer("scaling").output, model.output)
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    pictures = tf.constant(np.broadcast_to([ramp, ramp[::-1]], (2, height, 8, 3)))
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        output = tf.reduce_sum(after_scaling(pictures)[:, row])
    reached = np.asarray(tape.gradient(output, pictures)).any(axis=(0, 2, 3)).nonzero()[0]
    return reached[-1] - reached[0] + 1


def test_receptive_field_of_the_attention_unet_counts_what_its_gates_see():
    height, settings = 96, {"base_filters": 1, "num_layers": 3, "batch_norm": False}
    model = attention_unet((height, 8, 3), 2, **settings)
    seen = [rows_with_gradient(model, height, row) for row in range(48, 52)]
    assert receptive_field(model) == max(seen)


def test_receptive_field_of_a_layer_with_unknown_reach_is_unknown():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.UpSampling2D(2, interpolation="bicubic")(image))
    assert receptive_field(model) is None
    assert "receptive field: unknown" in describe(model, (8, 8, 3))


def test_description_fits_a_terminal_and_gives_the_totals(zipper):
    text = describe(zipper, FULL_SIZE)
    assert max(map(len, text.splitlines())) <= 100
    for total in (
        "124,996,968 (124,996,968 trainable, 0 not)",
        "476.8 MiB",
        "57.9 G",
        "1832 x 1832",
    ):
        assert total in text
    assert "24,448 not" in describe(outline(FULL_SIZE, 8, batch_norm=True), FULL_SIZE)


def test_describing_leaves_the_model_as_it_was(zipper):
    before = zipper.get_layer("decoder0_concat").output
    describe(zipper, (256, 256, 3))
    assert zipper.get_layer("decoder0_concat").output is before
    assert zipper.output.shape == (None, None, None, 8)


def backbone(depth: int = 2) -> list[keras.layers.Layer]:
    """The layers of a tiny encoder, new ones at each call."""
    convs = [layers.Conv2D(4, 3, padding="same", name=f"conv{number}") for number in range(depth)]
    return [layers.Rescaling(1 / 255, name="scaling"), *convs, layers.MaxPooling2D(name="pool")]


def chain(tensor, parts):
    for part in parts:
        tensor = part(tensor)
    return tensor


def headed(encoder, name: str) -> keras.Model:
    """A network of 2 classes on an encoder: a model, or a list of layers."""
    image = keras.Input((None, None, 3), dtype="uint8", name="image")
    features = chain(image, encoder if isinstance(encoder, list) else [encoder])
    upsampled = layers.UpSampling2D(2, interpolation="bilinear", name="up")(features)
    return keras.Model(image, layers.Conv2D(2, 1, name="head")(upsampled), name=name)


def functional(parts: list[keras.layers.Layer], name: str = "encoder") -> keras.Model:
    image = keras.Input((None, None, 3), dtype="uint8")
    return keras.Model(image, chain(image, parts), name=name)


NESTED = {
    "functional": lambda: functional(backbone()),
    "twice": lambda: functional([functional(backbone(), "inner")]),
    "sequential": lambda: keras.Sequential(backbone(), name="encoder"),
    "sequential in functional": lambda: functional([keras.Sequential(backbone(), name="inner")]),
}


@pytest.mark.parametrize("nested", NESTED)
def test_a_nested_network_costs_and_sees_what_its_flat_twin_does(nested):
    twin, model = headed(backbone(), "flat"), headed(NESTED[nested](), "nested")
    flat, table = layer_table(twin, (32, 64, 3)), layer_table(model, (32, 64, 3))
    columns = ["output", "kernel", "dilation", "parameters", "multiply_adds"]
    pd.testing.assert_frame_equal(table[columns], flat[columns])
    path = {"twice": "encoder/inner/", "sequential in functional": "encoder/inner/"}
    expected = path.get(nested, "encoder/")
    assert list(table["layer"][1:5]) == [f"{expected}{name}" for name in flat["layer"][1:5]]
    assert receptive_field(model) == receptive_field(twin) == 8
    assert table["parameters"].sum() == model.count_params()
    for line in describe(twin, (32, 64, 3)).splitlines()[-4:]:
        assert line in describe(model, (32, 64, 3))


def test_a_network_that_is_called_twice_is_computed_twice_and_has_its_weights_once():
    image = keras.Input((None, None, 3), dtype="uint8")
    shared = functional(backbone())
    flipped = layers.Rescaling(-1.0, 255.0)(image)
    both = layers.Add()([shared(image), shared(flipped)])
    model = keras.Model(image, layers.Conv2D(2, 1)(both))
    table, alone = layer_table(model, (32, 64, 3)), layer_table(shared, (32, 64, 3))
    convs = table[table["layer"] == "encoder/conv1"]
    assert list(convs["parameters"]) == [4 * 4 * 9 + 4, 0]
    assert convs["multiply_adds"].nunique() == 1
    assert table["parameters"].sum() == model.count_params()
    head = (16 * 32) * 4 * 2
    assert table["multiply_adds"].sum() == 2 * alone["multiply_adds"].sum() + head
    assert receptive_field(model) == receptive_field(shared) == 6


def test_a_nested_network_with_several_outputs_is_followed_along_the_ones_in_use():
    image = keras.Input((None, None, 3), dtype="uint8")
    fine = layers.Conv2D(4, 3, padding="same", name="fine")(layers.Rescaling(1 / 255)(image))
    coarse = layers.Conv2D(8, 3, padding="same", name="coarse")(layers.MaxPooling2D()(fine))
    unused = layers.Conv2D(8, 9, padding="same", name="unused")(coarse)
    encoder = keras.Model(image, {"fine": fine, "coarse": coarse, "unused": unused}, name="encoder")
    picture = keras.Input((None, None, 3), dtype="uint8")
    levels = encoder(picture)
    joined = layers.Concatenate()([levels["fine"], layers.UpSampling2D()(levels["coarse"])])
    model = keras.Model(picture, layers.Conv2D(2, 1)(joined))
    outputs = layer_table(model, (32, 64, 3)).set_index("layer")["output"]
    assert outputs["encoder/coarse"] == "16x32x8" and outputs["encoder/fine"] == "32x64x4"
    assert receptive_field(model) == rows_seen(model, 64, 8)[24:40].max() == 8


def test_a_published_backbone_can_be_a_layer():
    backbone = keras.applications.MobileNetV2((None, None, 3), include_top=False, weights=None)
    flat = layer_table(backbone, (64, 64, 3))
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Conv2D(2, 1)(backbone(image)))
    table = layer_table(model, (64, 64, 3))
    assert table["parameters"].sum() == model.count_params() == backbone.count_params() + 2562
    assert table["multiply_adds"].sum() == flat["multiply_adds"].sum() + 2 * 2 * 1280 * 2
    assert receptive_field(model) == receptive_field(backbone) == 491  # Araujo et al., Table 1


class Halves(layers.Layer):
    """A layer whose shape is known only while the model is built."""

    def compute_output_spec(self, inputs):
        if None not in inputs.shape[1:]:
            raise NotImplementedError("no shape for this size")
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def call(self, inputs):
        return inputs


class Own(keras.Model):
    """A network written as a class: it has no graph that could be followed.

    With a shape of its own, for which Keras would give the outlines above their memory.
    """

    def __init__(self):
        super().__init__(name="own")
        self.conv = layers.Conv2D(2, 3, padding="same")

    def build(self, input_shape):
        self.conv.build(input_shape)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2)

    def call(self, inputs):
        return self.conv(inputs)


def test_a_layer_without_a_shape_is_named():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Conv2D(2, 1)(Halves(name="halves")(image)))
    with pytest.raises(ValueError, match=r"Layer 'halves' .*\(1, 8, 8, 3\).*no shape for this"):
        describe(model, (8, 8, 3))
    text = undescribed(model, ValueError("Layer 'halves' …"))
    assert "Layer 'halves' …" in text
    assert re.search(r"^parameters: +8 \(8 trainable, 0 not\)$", text, re.M)


def test_multiply_adds_that_cannot_be_counted_are_not_hidden():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Conv2D(2, 1, name="head")(Own()(image)))
    table = layer_table(model, (8, 8, 3)).set_index("layer")
    assert table.loc["own", "parameters"] == 56
    assert "at least 0.0 G an image (not counted: own)" in describe(model, (8, 8, 3))


def test_multiply_adds_of_a_separable_convolution_by_hand():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.SeparableConv2D(8, 5, padding="same")(image))
    expected = (4 * 8) * (5 * 5 * 3 + 3 * 8)
    assert layer_table(model, (4, 8, 3))["multiply_adds"].sum() == expected
