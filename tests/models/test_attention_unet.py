"""Attention U-Net against a forward pass in NumPy and SciPy and a parameter count by hand."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view
from omegaconf import OmegaConf
from scipy.ndimage import zoom
from scipy.special import expit

from flexunet_exp.config import compose
from flexunet_exp.errors import InputError
from flexunet_exp.losses import CrossEntropy
from flexunet_exp.models.attention_unet import attention_unet

TINY = {"base_filters": 2, "num_layers": 4}
GATES = (1, 2)  # levels of TINY with a gate: neither the topmost nor the bridge


def images(batch: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)


def randomise(model: keras.Model) -> None:
    """Random weights of every kind, all variances positive."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        values = rng.normal(0.05, 0.3, weight.shape)
        weight.assign(values**2 + 0.5 if weight.name == "moving_variance" else values)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def reference(model: keras.Model, image: np.ndarray, num_layers: int, activation) -> np.ndarray:
    """The forward pass on one image (H, W, 3) 0..255 in float64, written from the paper."""
    weights = {layer.name: layer.get_weights() for layer in model.layers}

    def conv(x, name):
        kernel, bias = weights[name]
        windows = sliding_window_view(np.pad(x, [(1, 1), (1, 1), (0, 0)]), (3, 3), axis=(0, 1))
        return np.einsum("hwcij,ijco->hwo", windows, kernel) + bias

    def stage(x, name):
        for index in (1, 2):
            x = activation(conv(x, f"{name}_conv{index}"))
            gamma, beta, mean, variance = weights[f"{name}_norm{index}"]
            x = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
        return x

    def twice(x):
        return zoom(x, (2, 2, 1), order=1, mode="nearest", grid_mode=True)

    def squares(x):
        height, width, channels = x.shape
        return x.reshape(height // 2, 2, width // 2, 2, channels)

    def gated(skip, gating, name):
        w_x = weights[f"{name}_skip"][0]
        w_g, b_g = weights[f"{name}_gating"]
        psi, b_psi = weights[f"{name}_coefficients"]
        found = np.einsum("hiwjc,ijco->hwo", squares(skip), w_x)
        attention = relu(found + gating @ w_g[0, 0] + b_g) @ psi[0, 0] + b_psi
        return skip * twice(expit(attention))

    x, skips = image / 255, []
    for level in range(num_layers - 1):
        skips.append(stage(x, f"encoder{level}"))
        x = squares(skips[-1]).max(axis=(1, 3))
    x = stage(x, "bridge")
    for level in reversed(range(num_layers - 1)):
        skip = gated(skips[level], x, f"gate{level}") if level else skips[level]
        x = stage(np.concatenate([twice(x), skip], axis=-1), f"decoder{level}")
    kernel, bias = weights["head"]
    return x @ kernel[0, 0] + bias


@pytest.mark.parametrize(("name", "activation"), [("relu", relu), ("tanh", np.tanh)])
def test_forward_pass_equals_an_independent_one(name, activation):
    model = attention_unet((16, 24, 3), 4, **TINY, activation=name)
    randomise(model)
    image = images(1, 16, 24)
    expected = reference(model, image[0], TINY["num_layers"], activation)
    rounding = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(np.asarray(model(image))[0], expected, rtol=0, atol=rounding)


def parameters_by_hand(filters: int, num_layers: int, num_classes: int, batch_norm: bool) -> int:
    f = [filters * 2**level for level in range(num_layers)]

    def stage(inputs: int, outputs: int) -> int:
        norms = 2 * 4 * outputs if batch_norm else 0
        return 9 * inputs * outputs + outputs + 9 * outputs**2 + outputs + norms

    encoder_and_bridge = sum(stage(*pair) for pair in zip([3, *f], f, strict=False))
    decoder = sum(stage(below + here, here) for here, below in zip(f, f[1:], strict=False))
    gates = sum(  # W_x; W_g and b_g; psi and b_psi
        4 * here * here + (below * here + here) + (here + 1)
        for here, below in zip(f[1:], f[2:], strict=False)
    )
    return encoder_and_bridge + decoder + gates + f[0] * num_classes + num_classes


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize(("filters", "num_layers", "num_classes"), [(16, 5, 8), (3, 3, 2)])
def test_parameters_counted_by_hand(filters, num_layers, num_classes, batch_norm):
    arguments = (filters, num_layers)
    with keras.StatelessScope(initialize_variables=False):
        model = attention_unet((64, 64, 3), num_classes, *arguments, batch_norm=batch_norm)
    assert model.count_params() == parameters_by_hand(*arguments, num_classes, batch_norm)


def gate_outputs(model: keras.Model, part: str) -> keras.Model:
    return keras.Model(model.input, [model.get_layer(f"gate{i}{part}").output for i in GATES])


def test_a_gate_has_one_coefficient_a_pixel_on_the_grid_of_the_coarser_level():
    model = attention_unet((16, 24, 3), 4, **TINY)
    randomise(model)
    image = images(2, 16, 24)
    coarse = [np.asarray(a) for a in gate_outputs(model, "_coefficients")(image)]
    fine = [np.asarray(a) for a in gate_outputs(model, "_resampled")(image)]
    assert [a.shape for a in coarse] == [(2, 4, 6, 1), (2, 2, 3, 1)]
    assert [a.shape for a in fine] == [(2, 8, 12, 1), (2, 4, 6, 1)]
    for coefficients in [*coarse, *fine]:
        assert 0 < coefficients.min() < coefficients.max() < 1
    for level, coefficients, gated in zip(GATES, fine, gate_outputs(model, "")(image), strict=True):
        skip = keras.Model(model.input, model.get_layer(f"encoder{level}_norm2").output)(image)
        np.testing.assert_allclose(gated, skip * coefficients, rtol=1e-5)


def test_topmost_skip_is_not_gated():
    model = attention_unet((16, 16, 3), 4, **TINY)
    assert "gate0" not in {layer.name for layer in model.layers}
    _, skip = model.get_layer("decoder0_concat").input
    assert skip is model.get_layer("encoder0_norm2").output


@pytest.mark.parametrize("batch_norm", [True, False])
def test_untrained_gates_are_open_everywhere(batch_norm):
    keras.utils.set_random_seed(0)
    model = attention_unet((64, 64, 3), 4, batch_norm=batch_norm, base_filters=16, num_layers=4)
    for coefficients in gate_outputs(model, "_coefficients")(images(2, 64, 64), training=True):
        assert np.min(coefficients) > 0.8
        assert np.mean(coefficients) == pytest.approx(0.95, abs=0.02)


def test_dropout_grows_with_depth_and_is_in_no_gate():
    model = attention_unet((16, 16, 3), 4, **TINY, dropout_rate=0.1)
    rates = {
        layer.name: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)
    }
    assert rates == {
        "encoder1_dropout": 0.1,
        "encoder2_dropout": 0.2,
        "bridge_dropout": pytest.approx(0.3),
        "decoder2_dropout": 0.2,
        "decoder1_dropout": 0.1,
    }
    assert model.get_layer("bridge_dropout").input is model.get_layer("bridge_norm1").output


@pytest.fixture(params=["float32", "mixed_bfloat16"])
def precision(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def test_no_grey_level_is_lost(precision):
    scaling = attention_unet((16, 16, 3), 2, **TINY).get_layer("scaling")
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_allclose(scaling(levels), levels / 255, rtol=1e-6)


def test_gradient_reaches_every_weight_even_where_gates_are_almost_wide_open(precision):
    keras.utils.set_random_seed(0)
    model = attention_unet((16, 16, 3), 2, **TINY | {"base_filters": 8})
    for level in GATES:
        model.get_layer(f"gate{level}_coefficients").bias.assign([8.0])
    image = images(4, 16, 16)
    mask = (image[..., 0] > 127).astype(np.uint8)
    with tf.GradientTape() as tape:
        loss = CrossEntropy()(mask, model(image, training=True))
    weights = [weight.value for weight in model.trainable_weights]
    gradients = tape.gradient(loss, weights)
    untouched = [
        weight.path
        for weight, gradient in zip(model.trainable_weights, gradients, strict=True)
        if gradient is None or not np.any(gradient)
    ]
    assert len(weights) == 2 * 7 * 4 + 2 * 5 + 2
    assert untouched == []


def test_it_learns_one_picture_by_heart(precision):
    keras.utils.set_random_seed(0)
    model = attention_unet((16, 16, 3), 2, base_filters=8, num_layers=3)
    model.compile(keras.optimizers.Adam(0.01), CrossEntropy(), jit_compile=False)
    assert keras.backend.standardize_dtype(model.output.dtype) == "float32"
    image = images(1, 16, 16)
    mask = np.zeros((1, 16, 16), np.uint8)
    mask[:, 4:9, 6:12] = 1
    model.fit(np.repeat(image, 50, axis=0), np.repeat(mask, 50, axis=0), batch_size=1, verbose=0)
    predicted = np.asarray(model(image, training=True)).argmax(axis=-1)
    assert (predicted == mask).mean() > 0.99


def test_logits_for_other_sizes_than_the_one_given():
    model = attention_unet((16, 16, 3), 4, **TINY)
    assert model(images(2, 40, 24)).shape == (2, 40, 24, 4)


def test_saved_and_loaded_it_gives_the_same_logits(tmp_path):
    model = attention_unet((16, 16, 3), 4, **TINY, activation="mish", dropout_rate=0.1)
    randomise(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    image = images(2, 16, 16)
    np.testing.assert_array_equal(loaded(image), model(image))


def test_yaml_lists_every_argument_with_its_default():
    yaml = OmegaConf.load(compose.conf_dir() / "model" / "attention_unet.yaml")
    parameters = list(inspect.signature(attention_unet).parameters.values())[2:]
    defaults = {parameter.name: parameter.default for parameter in parameters}
    assert defaults.pop("input_dtype") == "uint8"  # from the program
    assert yaml.pop("_target_").endswith("attention_unet.attention_unet")
    assert yaml == defaults


def test_all_wrong_arguments_are_named_at_once():
    wrong = {
        "base_filters": 0,
        "num_layers": 2,
        "dropout_rate": 1.0,
        "batch_norm": 1,
        "activation": "rellu",
        "input_scaling": "half",
    }
    with pytest.raises(InputError) as error:
        attention_unet((512, 512), 0, **wrong)
    assert len(error.value.problems) == len(wrong) + 2
    for name, value in {**wrong, "num_classes": 0, "input_shape": (512, 512)}.items():
        (problem,) = [text for text in error.value.problems if f"`{name}`" in text]
        assert repr(value) in problem
        assert "Try " in problem


def test_size_and_dropout_that_do_not_fit_the_depth():
    with pytest.raises(InputError) as error:
        attention_unet((64, 60, 3), 2, dropout_rate=0.3)
    size, dropout = error.value.problems
    assert size.endswith("Try dataset.image_size=[64,64]")
    assert "0.3 * 4" in dropout
