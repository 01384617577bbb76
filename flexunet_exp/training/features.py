"""Training from kept features: the frozen part of a network is computed once for each view.

A network is cut where layers that are trained take the output of layers that are not. The part
before the cut gives the same values in every epoch.
"""

from __future__ import annotations

import hashlib
from typing import Any

import keras
import numpy as np
from keras import tree

from flexunet_exp.data.cache.features import FeatureCache, Maps
from flexunet_exp.data.dataset import Dataset
from flexunet_exp.data.feed.kept_features import KeptFeatures
from flexunet_exp.errors import InputError
from flexunet_exp.training.settings import TrainingSettings

FROZEN = "model.encoder_trainable=frozen"


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
    feed = settings.feed
    shapes = model.extractor.compute_output_shape((1, *feed.size, 3))
    shapes = [shapes] if isinstance(shapes[0], int) else shapes
    maps = Maps(tuple(tuple(shape[1:]) for shape in shapes), np.dtype(feed.feature_type))
    key = [
        digest_of(model.extractor),
        list(feed.size),
        dataset.bit_depth,
        settings.process.precision,
    ]
    cache = FeatureCache(feed.cache_dir, key, maps)

    def extract(images: np.ndarray) -> list[np.ndarray]:
        return tree.flatten(model.extractor.predict_on_batch(images))

    return KeptFeatures(feed, dataset, extract, cache, model.input.dtype)


def digest_of(extractor: keras.Model) -> str:
    """Hash over the layers, their settings and their weights, and the versions that compute
    them."""
    content = hashlib.sha256(extractor.to_json().encode())
    for weights in extractor.get_weights():
        content.update(np.ascontiguousarray(weights).tobytes())
    content.update(f"{keras.__version__} {keras.backend.backend()}".encode())
    return content.hexdigest()
