"""Training from kept features: the frozen part of a network is computed once for each view.

A network is cut where layers that are trained take the output of layers that are not. The part
before the cut gives the same values in every epoch.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import keras
import numpy as np
from keras import tree

from flexunet_exp.config import building
from flexunet_exp.data.cache import disk_cache
from flexunet_exp.data.cache.features import FeatureCache, Maps
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.feed.kept_features import KeptFeatures
from flexunet_exp.data.feed.settings import FeedSettings
from flexunet_exp.errors import InputError
from flexunet_exp.training.settings import TrainingSettings

FROZEN = "model.encoder_trainable=frozen"
VIEWS = ("data/augmentation", "data/feed/views.py")  # whose code decides the views of a picture


@keras.saving.register_keras_serializable(package="flexunet_exp")
class FromFeatures(keras.Model):
    """A functional network that takes its frozen part's output in place of an image, too.

    Called with a list or tuple of features, it computes the part behind the cut alone. All other
    uses, such as saving, see the whole network.
    """

    def __init__(self, inputs: Any, outputs: Any, **options: Any):
        super().__init__(inputs, outputs, **options)
        cut = cut_of(self)
        self.extractor = keras.Model(self.inputs, cut, name="extractor")
        self.decoder = keras.Model(cut, self.outputs[0], name="decoder")

    def __call__(self, inputs: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(inputs, (list, tuple)) and len(inputs) == len(self.decoder.inputs) > 1:
            wanted = [tensor.dtype for tensor in self.decoder.inputs]
            maps = [keras.ops.cast(one, dtype) for one, dtype in zip(inputs, wanted, strict=True)]
            return self.decoder(maps, *arguments, **options)
        return super().__call__(inputs, *arguments, **options)


def cut_of(model: keras.Model) -> list[keras.KerasTensor]:
    """The outputs of frozen layers that other layers take, coarsest last.

    Raises InputError where the network trains from its image on, or nothing is left to train.
    """
    frozen = {id(image) for image in model.inputs}
    found: dict[int, keras.KerasTensor] = {}
    for operation in model.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        if is_frozen(operation, frozen):
            frozen |= {id(tensor) for tensor in tree.flatten(operation.output)}
        else:
            for tensor in tree.flatten(operation.input):
                if id(tensor) in frozen:
                    found[id(tensor)] = tensor
                if any(tensor is image for image in model.inputs):
                    raise InputError(
                        f"dataset.cache=features keeps what a frozen encoder computes, and this "
                        f"network trains from its image on. Type model=unet {FROZEN}, or another "
                        "dataset.cache"
                    )
    return list(found.values())


def is_frozen(operation: keras.Operation, frozen: set[int]) -> bool:
    """Whether an operation gives the same values in every epoch.

    It takes images, or outputs (`frozen`, by their ids) of operations that do; and it is a layer
    that is not trained, or has no weights, such as a sum. Batch normalisation that is not trained
    changes with the trained convolution before it.
    """
    is_trained = isinstance(operation, keras.Layer) and operation.trainable
    return not is_trained and all(id(tensor) in frozen for tensor in tree.flatten(operation.input))


def kept(model: FromFeatures, settings: TrainingSettings, dataset: Dataset) -> KeptFeatures:
    """The features of the model's frozen part; computes those that the cache lacks."""
    feed, maps = settings.feed, maps_of(model, settings.feed)
    key = [
        digest_of(model.extractor),
        list(feed.size),
        dataset.bit_depth,
        dataset.channels.configured,
        settings.process.precision,
        disk_cache.code_of_pixels([dataset.recipe, *feed.transforms], *VIEWS),
    ]
    facts = {"encoder": encoder_name(settings), "size": list(feed.size)}
    cache = FeatureCache(feed.cache_dir, key, maps, facts)

    def extract(images: np.ndarray) -> list[np.ndarray]:
        return tree.flatten(model.extractor.predict_on_batch(images))

    found = KeptFeatures(feed, dataset, cache, model.input.dtype)
    if cache.missing(found.names()):
        refuse_above_limit(found, settings, dataset)
    found.fill(extract)
    return found


def maps_of(model: FromFeatures, feed: FeedSettings) -> Maps:
    shapes = model.extractor.compute_output_shape((1, *feed.size, model.input.shape[-1]))
    shapes = [shapes] if isinstance(shapes[0], int) else shapes
    return Maps(tuple(tuple(shape[1:]) for shape in shapes), np.dtype(feed.feature_type))


def encoder_name(settings: TrainingSettings) -> str:
    """The encoder of a U-Net by its function; of another network, that of the network."""
    encoder = settings.model.get("encoder")
    node = encoder if isinstance(encoder, dict) else settings.model
    return str(node["_target_"]).rpartition(".")[2]


def refuse_above_limit(found: KeptFeatures, settings: TrainingSettings, dataset: Dataset) -> None:
    """Raises InputError, with all that would fit, where the features need more than is allowed.

    Fewer views or thinner features train other weights: only the settings may decide that.
    """
    limit, views, maps = settings.feed.cache_limit, len(found.views), found.cache.maps
    if found.gigabytes(views, maps) <= limit:
        return
    offers = [f"augmentation.views={fewer}" for fewer in fitting(found, views, maps, limit)]
    if thin := thin_maps(settings, dataset):
        for fewer in fitting(found, views + 1, thin, limit):
            also = "" if fewer == views else f" augmentation.views={fewer}"
            offers.append(f"model.encoder.features=blocks{also}")
    offers.append(f"dataset.cache_limit={math.ceil(found.gigabytes(views, maps))}")
    train, valid = map(len, found.readers.values())
    raise InputError(
        f"The features of {views} views of {train} training pictures and of {valid} validation "
        f"pictures, {maps.bytes / 1e6:.3g} MB each, need {found.gigabytes(views, maps):.3g} GB, "
        f"and dataset.cache_limit={limit:g}. Type {', or '.join(offers)}"
    )


def fitting(found: KeptFeatures, below: int, maps: Maps, limit: float) -> list[int]:
    """The largest number of views, below a number, whose maps fit; empty where none does."""
    fits = [n for n in range(1, below) if found.gigabytes(n, maps) <= limit]
    return fits[-1:]


def thin_maps(settings: TrainingSettings, dataset: Dataset) -> Maps | None:
    """The maps with model.encoder.features=blocks; None for an encoder without this choice."""
    encoder = settings.model.get("encoder")
    if not isinstance(encoder, dict) or encoder.get("features", "blocks") == "blocks":
        return None
    node = {**settings.model, "encoder": {**encoder, "features": "blocks"}}
    if "encoder_weights" in node:
        node["encoder_weights"] = None  # the shapes are the same
    shape = (*settings.feed.size, dataset.channels.number)
    arguments = {"num_classes": dataset.num_classes, "input_dtype": dataset.dtype}
    network = building.build(node, input_shape=shape, **arguments)
    return maps_of(FromFeatures(network.input, network.output), settings.feed)


def digest_of(extractor: keras.Model) -> str:
    """Hash over the layers, their settings and their weights, and the versions that compute
    them."""
    content = hashlib.sha256(extractor.to_json().encode())
    for weights in extractor.get_weights():
        content.update(np.ascontiguousarray(weights).tobytes())
    content.update(f"{keras.__version__} {keras.backend.backend()}".encode())
    return content.hexdigest()
