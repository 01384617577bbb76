"""Encoders from keras.applications, cut at the strides where they shrink."""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
from keras import layers

from flexunet_exp.errors import InputError
from flexunet_exp.models.encoders import weights_source
from flexunet_exp.models.encoders.pyramid import Origin, Pyramid
from flexunet_exp.models.encoders.weights_source import IMAGENET, RGB
from flexunet_exp.models.graph import calls_of

PROBE = 64  # a side whose halves tell all strides apart
STRIDES = (2, 4, 8, 16, 32)
LICENCE = "of keras.applications: Apache-2.0"
Scaling = Callable[[keras.KerasTensor], keras.KerasTensor]


def raw(image: keras.KerasTensor) -> keras.KerasTensor:
    """0..255 in float32, for networks that scale for themselves."""
    return layers.Rescaling(1.0, dtype="float32", name="encoder_scaling")(image)


def symmetric(image: keras.KerasTensor) -> keras.KerasTensor:
    """-1..1."""
    return layers.Rescaling(1 / 127.5, -1.0, dtype="float32", name="encoder_scaling")(image)


def standardised(image: keras.KerasTensor) -> keras.KerasTensor:
    """0..1, then minus ImageNet's mean, over its standard deviation."""
    mean, variance = (0.485, 0.456, 0.406), (0.229**2, 0.224**2, 0.225**2)
    x = layers.Rescaling(1 / 255, dtype="float32", name="encoder_scaling")(image)
    return layers.Normalization(
        mean=mean, variance=variance, dtype="float32", name="encoder_normalisation"
    )(x)


def mobilenetv3_small(image: keras.KerasTensor, weights: str | None) -> Pyramid:
    """MobileNetV3-Small, 0.9 million parameters: Howard et al. (2019), arXiv:1905.02244."""
    return application("MobileNetV3Small", image, weights, raw)


def mobilenetv3_large(image: keras.KerasTensor, weights: str | None) -> Pyramid:
    """MobileNetV3-Large, 3.0 million parameters: Howard et al. (2019), arXiv:1905.02244."""
    return application("MobileNetV3Large", image, weights, raw)


def efficientnetv2_b0(image: keras.KerasTensor, weights: str | None) -> Pyramid:
    """EfficientNetV2-B0, 5.9 million parameters: Tan and Le (2021), arXiv:2104.00298."""
    return application("EfficientNetV2B0", image, weights, raw)


def efficientnetv2_b3(image: keras.KerasTensor, weights: str | None) -> Pyramid:
    """EfficientNetV2-B3: Tan and Le (2021), arXiv:2104.00298."""
    return application("EfficientNetV2B3", image, weights, raw)


def resnet50v2(image: keras.KerasTensor, weights: str | None) -> Pyramid:
    """ResNet50V2, 23.6 million parameters: He et al. (2016), arXiv:1603.05027."""
    return application("ResNet50V2", image, weights, symmetric)


def densenet121(image: keras.KerasTensor, weights: str | None) -> Pyramid:
    """DenseNet121, 7.0 million parameters: Huang et al. (2017), arXiv:1608.06993."""
    return application("DenseNet121", image, weights, standardised)


def convnext_tiny(image: keras.KerasTensor, weights: str | None) -> Pyramid:
    """ConvNeXt-Tiny, 27.8 million parameters, from stride 4 on: Liu et al. (2022), 2201.03545."""
    return application("ConvNeXtTiny", image, weights, raw)


def application(
    name: str, image: keras.KerasTensor, weights: str | None, scaling: Scaling
) -> Pyramid:
    """The pyramid of a network of keras.applications for an image (B, H, W, 1 or 3), 0..255.

    `weights` is None (random), `imagenet` (the file in Keras's cache, or downloaded), or the path
    of a weights file. Raises InputError where the weights cannot be had, or do not fit, and for
    another number of channels.
    """
    scaled = scaling(as_rgb(image, name))
    network, origin = built(name, weights, scaled)
    features = last_of_strides(network)
    before = {layer.name for layer in keras.Model(network.inputs, image).layers}
    own = tuple(layer for layer in network.layers if layer.name not in before)
    return Pyramid(image, features, own, origin)


def as_rgb(image: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """The image with three channels: one channel is repeated. InputError for other numbers.

    A convolution in front of the network would be one layer more than its weights file has.
    """
    channels = image.shape[-1]
    if channels == 1:
        return layers.Concatenate(name="encoder_rgb")([image] * RGB)
    if channels != RGB:
        raise InputError(
            f"The pictures have {channels} channels, and keras.applications.{name} takes 1 or 3. "
            "Type model/encoder=efficientnet_lite0, which takes any number"
        )
    return image


def built(
    name: str, weights: str | None, scaled: keras.KerasTensor
) -> tuple[keras.Model, Origin | None]:
    """The network on the scaled image, without its classifier, and where its weights are from."""
    make = getattr(keras.applications, name)
    sha256 = ""
    if weights not in (None, IMAGENET):
        # Before the network is built: a file that cannot be read is refused by its name.
        weights = str(Path(weights).expanduser())
        sha256 = weights_source.digest(Path(weights))
    keeping = kept_files(cache_folder()) if weights == IMAGENET else nullcontext()
    try:
        with warnings.catch_warnings(), keeping, files_read() as read:
            warnings.simplefilter("ignore")  # one for each layer that a file lacks
            network = make(include_top=False, weights=weights, input_tensor=scaled)
    except Exception as error:  # Keras, h5py and urllib raise errors of many types
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(cannot_load(name, str(weights), reason)) from error
    if weights is None:
        return network, None
    if weights == IMAGENET:  # Keras has checked its own hash, mostly an MD5
        return network, Origin(IMAGENET, weights_source.digest(read[0]), LICENCE)
    return network, Origin(Path(weights).name, sha256, "")


@contextmanager
def files_read() -> Iterator[list[Path]]:
    """The weights files that networks of Keras read meanwhile: Keras alone knows where they lie."""
    load, read = keras.Model.load_weights, []

    def noting(network: keras.Model, filepath: str, *given: object, **named: object) -> None:
        read.append(Path(filepath))
        load(network, filepath, *given, **named)

    keras.Model.load_weights = noting
    try:
        yield read
    finally:
        keras.Model.load_weights = load


@contextmanager
def kept_files(folder: Path) -> Iterator[None]:
    """Puts weights back that Keras deletes.

    Where a file has another hash than Keras expects, Keras downloads the weights to its name, and
    deletes the file if the download fails (keras 3.15).
    """
    files = sorted(folder.glob("*no*top*.h5"))
    with TemporaryDirectory(prefix="flexunet_weights_") as spare:
        for file in files:
            shutil.copyfile(file, Path(spare) / file.name)
        try:
            yield
        finally:
            for file in files:
                if not file.exists():
                    shutil.copyfile(Path(spare) / file.name, file)


def cannot_load(name: str, weights: str, reason: str) -> str:
    if weights != IMAGENET:
        return (
            f"model.encoder_weights={weights}: the weights do not fit keras.applications.{name} "
            f"without its classifier ({reason}). Give a file that was saved for it, or imagenet."
        )
    address = re.search(r"https?://\S+/(\S+)", reason)
    file = address[1].rstrip(":") if address else "…_notop.h5"
    return (
        f"encoder_weights=imagenet: Keras cannot get the weights of {name} ({reason}). Without a "
        f"network, copy its file {file} from another computer's ~/.keras/models to "
        f"{cache_folder()}, or name it: model.encoder_weights=PATH/OF/THE/FILE"
    )


def cache_folder() -> Path:
    """Where keras.applications looks for weights."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models"


def last_of_strides(network: keras.Model) -> dict[int, keras.KerasTensor]:
    """Stride → the last features of that size, which padding alone does not make.

    Names of layers say nothing: Keras counts them through all networks of a process.
    """
    (image,) = network.inputs
    probe = keras.KerasTensor((1, PROBE, PROBE, image.shape[-1]), image.dtype)
    found: dict[int, keras.KerasTensor] = {}
    calls = calls_of(network, [probe]).listed
    # Of a model within the network, the last call gives its output.
    last_calls = {call.name.split("/")[0]: call for call in calls}
    operations = {operation.name: operation for operation in network.operations}
    for name, call in last_calls.items():
        shape, operation = call.outputs[0].shape, operations[name]
        is_map = len(shape) == 4 and shape[1] == shape[2] and PROBE % shape[1] == 0
        if is_map and not isinstance(operation, layers.ZeroPadding2D):
            found[PROBE // shape[1]] = operation.output
    return {stride: found[stride] for stride in STRIDES if stride in found}
