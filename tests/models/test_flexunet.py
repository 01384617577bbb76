"""FlexUNet against published figures and a forward pass written with NumPy and SciPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.signal import correlate2d

from flexunet_exp.errors import InputError
from flexunet_exp.losses import CrossEntropy
from flexunet_exp.models.flexunet import flexunet

TINY = {"base_filters": 2, "base_kernel": 5, "num_layers": 3}


def images(batch: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)


def randomise(model: keras.Model) -> None:
    """Random weights of every kind, so that a bias or a statistic left out shows."""
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0.05, 0.2, weight.shape) for weight in model.get_weights()])
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma, beta, mean, variance**2 + 0.1])


class Reference:
    """FlexUNet's forward pass on one image in float64, from the weights of a Keras model."""

    def __init__(self, model: keras.Model, num_layers: int, dilation: int, activation):
        self.weights = {layer.name: layer.get_weights() for layer in model.layers}
        self.num_layers, self.dilation, self.activation = num_layers, dilation, activation

    def __call__(self, x: np.ndarray) -> np.ndarray:
        skips = []
        for level in range(self.num_layers - 1):
            skips.append(self.stage(x, f"encoder{level}", level))
            height, width, channels = skips[-1].shape
            blocks = skips[-1].reshape(height // 2, 2, width // 2, 2, channels)
            x = blocks.max(axis=(1, 3))
        x = self.stage(x, "bridge", self.num_layers - 1)
        for level in reversed(range(self.num_layers - 1)):
            x = np.concatenate([self.up(x, f"decoder{level}_up"), skips[level]], axis=-1)
            x = self.stage(x, f"decoder{level}", level)
        kernel, bias = self.weights["head"]
        return x @ kernel[0, 0] + bias

    def stage(self, x: np.ndarray, name: str, level: int) -> np.ndarray:
        for index in (1, 2):
            x = self.activation(self.conv(x, f"{name}_conv{index}", max(self.dilation - level, 1)))
            if f"{name}_norm{index}" in self.weights:
                gamma, beta, mean, variance = self.weights[f"{name}_norm{index}"]
                x = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
        return x

    def conv(self, x: np.ndarray, name: str, dilation: int) -> np.ndarray:
        kernel, bias = self.weights[name]
        size = (kernel.shape[0] - 1) * dilation + 1
        spread = np.zeros((size, size, *kernel.shape[2:]))
        spread[::dilation, ::dilation] = kernel
        maps = [
            sum(correlate2d(x[..., i], spread[..., i, o], mode="same") for i in range(x.shape[-1]))
            for o in range(kernel.shape[-1])
        ]
        return np.stack(maps, axis=-1) + bias

    def up(self, x: np.ndarray, name: str) -> np.ndarray:
        kernel, bias = self.weights[name]
        out = np.zeros((2 * x.shape[0], 2 * x.shape[1], kernel.shape[2]))
        for row in (0, 1):
            for column in (0, 1):
                out[row::2, column::2] = x @ kernel[row, column].T
        return out + bias


@pytest.mark.parametrize(
    ("settings", "activation", "scale"),
    [
        (
            {"dilation": 2, "activation": "relu", "input_scaling": "unit"},
            lambda x: np.maximum(x, 0),
            255,
        ),
        ({"batch_norm": True, "activation": "tanh", "input_scaling": "none"}, np.tanh, 1),
    ],
)
def test_forward_pass_equals_an_independent_one(settings, activation, scale):
    model = flexunet((16, 24, 3), 4, **TINY, **settings)
    randomise(model)
    image = images(1, 16, 24)
    reference = Reference(model, 3, settings.get("dilation", 1), activation)
    expected = reference(image[0] / scale)
    rounding = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(np.asarray(model(image))[0], expected, rtol=0, atol=rounding)


@pytest.mark.parametrize(
    ("name", "low", "high"), [("none", 0, 255), ("unit", 0, 1), ("symmetric", -1, 1)]
)
def test_scaling_is_the_first_layer_and_maps_the_whole_range(name, low, high):
    model = flexunet((4, 4, 3), 2, **TINY, input_scaling=name)
    scaling = model.layers[1]
    assert scaling.name == "scaling"
    scaled = np.asarray(scaling(np.array([0, 255], np.uint8)))
    np.testing.assert_allclose(scaled, [low, high], atol=1e-6)


@pytest.mark.parametrize(
    ("num_classes", "settings", "expected"),
    [
        pytest.param(8, {}, 124_996_968, id="zipper"),
        pytest.param(6, {"dropout_rate": 0.03}, 124_996_934, id="screw"),
        pytest.param(6, {"dilation": 3}, 124_996_934, id="leather"),
        pytest.param(5, {"base_kernel": 11, "dilation": 3}, 126_809_269, id="transistor"),
        pytest.param(6, {"num_layers": 6}, 8_332_102, id="capsule and wood"),
        pytest.param(8, {"batch_norm": True}, 125_045_864, id="zipper with batch norm"),
    ],
)
def test_published_parameter_counts(num_classes, settings, expected):
    # Variables keep their shapes but no memory here: half a gigabyte a model otherwise.
    with keras.StatelessScope(initialize_variables=False):
        model = flexunet((512, 512, 3), num_classes, **settings)
    assert model.count_params() == expected


def test_kernels_dilations_and_dropout_shrink_and_grow_with_depth():
    with keras.StatelessScope(initialize_variables=False):
        model = flexunet((512, 512, 3), 5, base_kernel=11, dilation=3, dropout_rate=0.03)
    levels = [*(f"encoder{level}" for level in range(7)), "bridge"]
    convs = [model.get_layer(f"{level}_conv2") for level in levels]
    assert [conv.kernel_size[0] for conv in convs] == [11, 9, 7, 5, 3, 3, 3, 3]
    assert [conv.dilation_rate[0] for conv in convs] == [3, 2, 1, 1, 1, 1, 1, 1]
    assert [conv.filters for conv in convs] == [16, 32, 64, 128, 256, 512, 1024, 2048]
    rates = [model.get_layer(f"{level}_dropout").rate for level in levels[1:]]
    np.testing.assert_allclose(rates, 0.03 * np.arange(1, 8))
    assert "encoder0_dropout" not in {layer.name for layer in model.layers}
    decoder = [model.get_layer(f"decoder{level}_conv1") for level in range(7)]
    assert [conv.kernel_size for conv in decoder] == [conv.kernel_size for conv in convs[:7]]
    assert [conv.dilation_rate for conv in decoder] == [conv.dilation_rate for conv in convs[:7]]


def test_initial_weights():
    model = flexunet((8, 8, 3), 2, base_filters=32, base_kernel=9, num_layers=2)
    kernel, bias = model.get_layer("decoder0_conv1").get_weights()
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 9 * 64)), rel=0.03)
    assert not bias.any()
    kernel, _ = model.get_layer("decoder0_up").get_weights()
    assert np.abs(kernel).max() == pytest.approx(np.sqrt(6 / (4 * (64 + 32))), rel=0.03)


def test_one_level_is_the_bridge_and_the_head():
    model = flexunet((5, 7, 3), 2, base_filters=2, num_layers=1)
    assert model(images(1, 5, 7)).shape == (1, 5, 7, 2)
    assert [layer.name for layer in model.layers[2:]] == ["bridge_conv1", "bridge_conv2", "head"]


def test_logits_for_other_sizes_than_the_one_given():
    model = flexunet((16, 16, 3), 4, **TINY)
    whole = np.asarray(model(images(2, 32, 48)))
    assert whole.shape == (2, 32, 48, 4)
    assert (whole < 0).any()


def test_saved_and_loaded_it_gives_the_same_logits(tmp_path):
    model = flexunet((16, 16, 3), 4, **TINY, batch_norm=True, activation="mish", dilation=3)
    randomise(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    image = images(2, 16, 16)
    np.testing.assert_array_equal(loaded(image), model(image))


def test_dilated_it_learns_one_image():
    keras.utils.set_random_seed(0)
    model = flexunet((16, 16, 3), 2, **TINY | {"base_filters": 8}, dilation=3)
    image = images(1, 16, 16)
    mask = (image[..., 0] > 127).astype(np.uint8)
    model.compile(keras.optimizers.Adam(0.01), CrossEntropy())
    history = model.fit(image, mask, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.6 * history[0]


@pytest.fixture
def mixed_bfloat16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def test_logits_are_float32_under_mixed_precision(mixed_bfloat16):
    model = flexunet((8, 8, 3), 3, **TINY)
    assert model.get_layer("encoder0_conv1").compute_dtype == "bfloat16"
    assert keras.backend.standardize_dtype(model(images(1, 8, 8)).dtype) == "float32"


def test_image_size_that_does_not_divide_is_answered_with_the_next_that_does():
    with pytest.raises(InputError) as error:
        flexunet((500, 512, 3), 8)
    (problem,) = error.value.problems
    assert problem.startswith("Argument `image_size` must be divisible by 128")
    assert "(500, 512)" in problem
    assert problem.endswith("Try dataset.image_size=[512,512]")


def test_all_wrong_arguments_are_named_at_once():
    wrong = {
        "base_filters": 0,
        "base_kernel": 4,
        "num_layers": "eight",
        "dropout_rate": -0.1,
        "dilation": 1.5,
        "batch_norm": "no",
        "activation": "rellu",
        "input_scaling": "half",
    }
    with pytest.raises(InputError) as error:
        flexunet((512, 512), 0, **wrong)
    problems = error.value.problems
    assert len(problems) == len(wrong) + 2
    for name, value in {**wrong, "num_classes": 0, "input_shape": (512, 512)}.items():
        (problem,) = [text for text in problems if f"`{name}`" in text]
        assert repr(value) in problem
        assert "Try " in problem


def test_dropout_that_would_reach_one_at_the_bridge():
    with pytest.raises(
        InputError, match=r"dropout_rate.*0\.25 \* 4.*Try model\.dropout_rate=0\.12"
    ):
        flexunet((512, 512, 3), 2, num_layers=5, dropout_rate=0.25)
