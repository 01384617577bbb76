"""The architectures beside FlexUNet, attention U-Net and U-Net: as their papers say, and usable."""

from __future__ import annotations

import inspect
import subprocess
import sys
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from flexunet_exp.commands.export import formats
from flexunet_exp.config import building, compose
from flexunet_exp.errors import InputError
from flexunet_exp.losses import CrossEntropy
from flexunet_exp.models import files, summary

LITE0 = {"_target_": "flexunet_exp.models.encoders.efficientnet_lite.efficientnet_lite0"}
CLASSES = 3
# Name → arguments that make it tiny.
TINY = {
    "unet3plus": {"base_filters": 4, "num_layers": 3, "classification_guided": True},
    "multiresunet": {"base_filters": 4, "num_layers": 3},
    "sharpunet": {"base_filters": 4, "num_layers": 3},
    "u2net": {"base_filters": 4},
    "u2netp": {"base_filters": 4, "inner_filters": 4},
    "deeplabv3plus": {
        "encoder": LITE0,
        "encoder_weights": None,
        "encoder_trainable": "all",
        "aspp_filters": 4,
        "decoder_filters": 4,
        "fine_filters": 4,
    },
    "segformer": {
        "embed_dims": (4, 8, 8, 8),
        "depths": (1, 1, 1, 1),
        "num_heads": (1, 2, 2, 4),
        "decoder_filters": 8,
    },
    "swin_unet": {
        "embed_dim": 4,
        "num_heads": (1, 2, 4, 4),
        "window_sizes": (4, 4, 4, 4),
    },
    "transunet": {
        "base_filters": 4,
        "blocks": (1, 1, 1),
        "embed_dim": 8,
        "num_heads": 2,
        "num_transformer": 2,
        "mlp_dim": 16,
        "decoder_filters": (16, 8, 8, 4),
    },
}
# The small U²-Net is made by the same code as the large one, whose many layers take long to call.
LIGHT = [name for name in TINY if name != "u2net"]
MODULES = {"u2netp": "u2net"}
# The size must divide by it; TINY has three levels.
DIVISORS = {"unet3plus": 4, "multiresunet": 4, "sharpunet": 4, "transunet": 16}


def target(name: str) -> str:
    return f"flexunet_exp.models.{MODULES.get(name, name)}.{name}"


def made(name: str, shape=(64, 64, 3), classes: int = CLASSES, **arguments) -> keras.Model:
    node = {"_target_": target(name), **arguments}
    return building.build(node, input_shape=shape, num_classes=classes)


@cache
def tiny(name: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    return made(name, **TINY[name])


def images(batch: int, height: int = 64, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)


# Published: name → arguments, classes, trainable parameters, what they are in the source.
PUBLISHED = {
    # The authors' programs in PyTorch.
    "u2net": ({}, 1, 44_009_869),
    "u2netp": ({}, 1, 1_131_181),
    # nvidia/segformer-b0-finetuned-ade-512-512.
    "segformer": ({}, 150, 3_752_694),
}
# In millions, as the papers' tables, or those of papers that compare with them, have them.
MILLIONS = {
    "unet3plus": ({}, 1, 26.97),
    "swin_unet": ({"window_sizes": (7, 7, 7, 7)}, 9, 27.17),
    "transunet": ({}, 9, 105.28),
}


def trainable_parameters(name: str, classes: int, **arguments) -> int:
    with keras.StatelessScope(initialize_variables=False):
        model = made(name, (224, 224, 3), classes, **arguments)
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.heavy
def test_another_process_reads_every_network(tmp_path):
    for name in LIGHT:
        files.save_model(made(name, **TINY[name]), tmp_path / f"{name}.keras")
    code = (
        "import sys; from pathlib import Path; from flexunet_exp.models.files import read_network\n"
        "for path in sys.argv[1:]: print(Path(path).stem, read_network(Path(path)).output_shape)"
    )
    paths = sorted(map(str, tmp_path.glob("*.keras")))
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True)
    read = [line.split()[0] for line in done.stdout.splitlines()]
    assert read == sorted(LIGHT), done.stderr


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_those_of_the_authors_programs(name):
    arguments, classes, expected = PUBLISHED[name]
    assert trainable_parameters(name, classes, **arguments) == expected


@pytest.mark.parametrize("name", MILLIONS)
def test_parameters_are_those_of_published_tables(name):
    arguments, classes, expected = MILLIONS[name]
    found = trainable_parameters(name, classes, **arguments) / 1e6
    assert round(found, 2) == expected


def multires_by_hand(num_classes: int) -> int:
    """All parameters of the paper's network, written from its figures 3 to 5."""

    def conv(inputs: int, outputs: int, side: int) -> int:
        return side**2 * inputs * outputs + 3 * outputs  # batch normalisation without gamma

    def block(inputs: int, width: float) -> tuple[int, int]:
        a, b, c = (int(1.67 * width * share) for share in (0.167, 0.333, 0.5))
        total = a + b + c
        chain = conv(inputs, a, 3) + conv(a, b, 3) + conv(b, c, 3)
        return conv(inputs, total, 1) + chain + 2 * 4 * total, total

    parameters, inputs, skips = 0, 3, []
    for level in range(5):
        more, inputs = block(inputs, 32 * 2**level)
        parameters += more
        skips.append(inputs)
    for level in reversed(range(4)):
        filters = 32 * 2**level
        source = skips[level]
        for _ in range(4 - level):
            parameters += conv(source, filters, 1) + conv(source, filters, 3) + 4 * filters
            source = filters
        parameters += 4 * inputs * filters + filters
        more, inputs = block(2 * filters, filters)
        parameters += more
    return parameters + inputs * num_classes + num_classes


def test_multiresunet_has_the_parameters_counted_by_hand():
    with keras.StatelessScope(initialize_variables=False):
        model = made("multiresunet")
    assert model.count_params() == multires_by_hand(CLASSES)
    assert round(multires_by_hand(1) / 1e6, 2) == 7.26  # as tables of papers have it


def test_sharpunet_has_the_parameters_of_a_unet_and_its_fixed_filters():
    f = [3, 32, 64, 128, 256, 512]
    pairs = list(zip(f, f[1:], strict=False))
    down = sum(9 * i * o + o + 9 * o * o + o for i, o in pairs)
    up = sum(4 * o * i + i + 9 * 2 * i * i + i + 9 * i * i + i for i, o in pairs[1:])
    with keras.StatelessScope(initialize_variables=False):
        model = made("sharpunet")
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trained == down + up + 32 * CLASSES + CLASSES
    assert model.count_params() - trained == 9 * sum(f[1:5])


@pytest.mark.parametrize("name", LIGHT)
def test_logits_of_any_size_that_the_structure_allows(name):
    divisor = DIVISORS.get(name, 32)
    model = tiny(name)
    assert model.output.dtype == "float32" and model.input.dtype == "uint8"
    height, width = 64 + divisor, 64
    logits = np.asarray(model(images(1, height, width)))
    assert logits.shape == (1, height, width, CLASSES)
    assert np.ptp(logits) > 1e-3  # none is the constant 1 of a softmax over one channel


@pytest.mark.parametrize("name", LIGHT)
def test_three_steps_train_every_kernel(name):
    """A branch that the output does not use has no gradient."""
    keras.utils.set_random_seed(0)
    model = made(name, **TINY[name])
    image = images(2)
    mask = (image[..., 0] // 86).astype(np.uint8)
    optimizer = keras.optimizers.Adam(1e-3)
    trained: set[str] = set()
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = CrossEntropy()(mask, model(image, training=True))
        weights = model.trainable_weights
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        assert np.isfinite(loss) and all(gradient is not None for gradient in gradients)
        optimizer.apply(gradients, weights)
        pairs = zip(weights, gradients, strict=True)
        trained |= {weight.path for weight, gradient in pairs if np.any(gradient)}
    kernels = {weight.path for weight in model.trainable_weights if len(weight.shape) > 1}
    assert kernels - trained == set()


@pytest.mark.parametrize("name", LIGHT)
def test_saved_and_loaded_it_gives_the_same_logits(name, tmp_path):
    files.save_model(tiny(name), tmp_path / "best.keras")
    loaded = files.read_network(tmp_path / "best.keras")
    image = images(1)
    np.testing.assert_array_equal(loaded(image), tiny(name)(image))


@pytest.mark.parametrize("name", LIGHT)
def test_in_bfloat16_its_logits_are_near_those_of_float32(name):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = made(name, **TINY[name])
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(tiny(name).get_weights())
    assert half.output.dtype == "float32"
    expected = np.asarray(tiny(name)(images(1)))
    found = np.asarray(half(images(1)))
    assert np.abs(found - expected).mean() < 0.1 * expected.std() + 0.02


@pytest.mark.heavy
@pytest.mark.parametrize("form", sorted(formats.FORMATS))
@pytest.mark.parametrize("name", LIGHT)
def test_exported_it_computes_the_same(name, form, tmp_path):
    file, _ = formats.write(tiny(name), form, tmp_path, (64, 64))
    image = images(1)
    forward = formats.opened(file, form, 1, image)
    expected = tiny(name).predict_on_batch(image)
    np.testing.assert_allclose(forward(image), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", TINY)
def test_yaml_lists_every_argument_with_its_default(name):
    yaml = OmegaConf.to_container(OmegaConf.load(compose.conf_dir() / "model" / f"{name}.yaml"))
    parameters = list(inspect.signature(building.locate(target(name))).parameters.values())[2:]
    defaults = {
        one.name: list(one.default) if isinstance(one.default, tuple) else one.default
        for one in parameters
        if one.name not in ("input_dtype", "encoder")  # from the program; from its group
    }
    assert yaml.pop("_target_") == target(name)
    yaml.pop("defaults", None)
    assert yaml == defaults


@pytest.mark.parametrize("name", LIGHT)
def test_its_layers_are_listed(name):
    table = summary.layer_table(tiny(name), (64, 64, 3))
    assert table["parameters"].sum() == tiny(name).count_params()
    assert table["multiply_adds"].sum() > 0


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("unet3plus", {"base_filters": 0}, "base_filters=0"),
        ("multiresunet", {"alpha": 0.5}, "alpha=0.5"),
        ("sharpunet", {"sharpening_centre": 5}, "from 8 to 9"),
        ("u2net", {"base_filters": 2.5}, "base_filters=2.5"),
        ("deeplabv3plus", {"encoder": LITE0, "output_stride": 4}, "8, 16 or 32"),
        ("segformer", {"embed_dims": (32, 64, 160)}, "list of 4 whole numbers"),
        ("segformer", {"num_heads": (1, 2, 7, 8)}, "160 by 7 is not"),
        ("swin_unet", {"num_heads": (3, 6, 12, 5)}, "768 by 5 does not"),
        ("swin_unet", {"window_sizes": (7, 7, 7, 1)}, "at least 2"),
        ("transunet", {"num_heads": 10}, "768 by 10 is not.*embed_dim=770"),
    ],
)
def test_wrong_arguments_are_refused(name, arguments, words):
    with pytest.raises(InputError, match=words):
        made(name, **arguments)


@pytest.mark.parametrize("name", [name for name in TINY if name != "deeplabv3plus"])
def test_a_size_that_does_not_fit_is_refused_with_one_that_does(name):
    divisor = DIVISORS.get(name, 32)
    with pytest.raises(InputError, match=rf"divisible by {divisor}.*image_size=64"):
        made(name, (64, 64 - divisor // 2, 3), **TINY[name])


# What the original program got wrong, one by one (the test of kernels above: dead convolutions of
# Sharp U-Net's decoder, layers of Swin-Unet that nothing used; the counts: TransUNet's heads).


def test_deeplabv3plus_has_the_parameters_counted_by_hand():
    def conv(inputs: int, outputs: int, side: int) -> int:
        return side**2 * inputs * outputs + 4 * outputs  # without bias, with batch normalisation

    coarse, fine = 112, 24  # channels of EfficientNet-Lite0 at strides 16 and 4
    pooling = 2 * conv(coarse, 256, 1) + 3 * conv(coarse, 256, 3) + conv(5 * 256, 256, 1)
    decoder = conv(fine, 48, 1) + conv(256 + 48, 256, 3) + conv(256, 256, 3)
    model = made("deeplabv3plus", encoder=LITE0, encoder_weights=None)
    encoder = sum(layer.count_params() for layer in model.encoder.pyramid.layers)
    assert model.count_params() - encoder == pooling + decoder + 256 * CLASSES + CLASSES


def test_skips_of_sharpunet_are_sharpened_and_its_decoder_goes_on_from_convolutions():
    model = tiny("sharpunet")
    for level in (0, 1):
        up, skip = model.get_layer(f"decoder{level}_concat").input
        assert up is model.get_layer(f"decoder{level}_up").output
        below = "bridge" if level == 1 else f"decoder{level + 1}"
        assert (
            model.get_layer(f"decoder{level}_up").input is model.get_layer(f"{below}_conv2").output
        )
        assert skip is model.get_layer(f"skip{level}_sharpened").output
    kernel = model.get_layer("skip0_sharpened").get_weights()[0]
    expected = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], np.float32)
    for channel in range(kernel.shape[2]):
        np.testing.assert_array_equal(kernel[:, :, channel, 0], expected)


def test_logits_of_u2net_are_not_squashed_and_fuse_all_its_sides():
    model = tiny("u2net")
    assert len(model.get_layer("sides").input) == 6
    assert model.get_layer("head").activation is keras.activations.linear
    assert model.get_layer("side0_head").activation is keras.activations.linear


def test_decoder_levels_of_unet3plus_take_every_level():
    model = tiny("unet3plus")
    for level in (0, 1):
        parts = model.get_layer(f"decoder{level}_concat").input
        assert len(parts) == 3 and {part.shape[-1] for part in parts} == {4}
    seeds = {layer.kernel_initializer.seed for layer in model.layers if hasattr(layer, "kernel")}
    assert len(seeds) > 10  # not one seed for all


def test_presence_multiplies_the_odds_of_a_class():
    model = tiny("unet3plus")
    parts = keras.Model(
        model.input,
        [model.get_layer(name).output for name in ("head", "presence_pixel")] + [model.output],
    )
    plain, presence, logits = (np.asarray(part) for part in parts(images(2)))
    assert presence.shape == (2, 1, 1, CLASSES)
    assert (presence[..., 0] == 0).all() and (presence[..., 1:] < 0).all()
    np.testing.assert_allclose(logits, plain + presence, atol=1e-5)


@pytest.mark.parametrize(("stride", "rates"), [(8, (12, 24, 36)), (16, (6, 12, 18))])
def test_atrous_rates_follow_the_output_stride(stride, rates):
    arguments = TINY["deeplabv3plus"] | {"output_stride": stride}
    with keras.StatelessScope(initialize_variables=False):
        model = made("deeplabv3plus", **arguments)
    names = [f"aspp_rate{rate}_conv" for rate in rates]
    assert [model.get_layer(name).dilation_rate for name in names] == [(r, r) for r in rates]
    (picture,) = model.get_layer("aspp_1x1_conv")._inbound_nodes[0].input_tensors
    found = keras.Model(model.input, picture).compute_output_shape((1, 64, 64, 3))
    assert found[1] == 64 // stride
    known = {layer.name for layer in model.layers}
    assert {layer.name for layer in model.encoder.pyramid.layers} <= known


def test_heads_of_transunet_share_the_features():
    model = tiny("transunet")
    for part in ("query", "key", "value", "projection"):
        assert model.get_layer(f"transformer0_{part}").kernel.shape == (8, 8)


def test_windows_of_swin_unet_move_in_every_second_block_at_every_level():
    model = tiny("swin_unet")
    names = ["encoder0", "encoder1", "encoder2", "bridge", "decoder2", "decoder1", "decoder0"]
    heads = dict(zip(names, (1, 2, 4, 4, 4, 2, 1), strict=True))
    for name in names:
        for number in (0, 1):
            layer = model.get_layer(f"{name}_block{number}_windows")
            assert layer.shifted == (number == 1)
            assert (layer.num_heads, layer.window) == (heads[name], 4)
