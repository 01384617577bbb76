"""The encoder within a network, as a training needs it: what of it is trained, when, how fast."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from flexunet_exp.models.encoders.pyramid import Pyramid

FROZEN = "frozen"


@dataclass(frozen=True)
class Encoder:
    """A pyramid, and how it is trained.

    `trainable`: all, last_stages (strides 16 and 32), no_batch_norm (all weights, with the stored
    statistics), frozen. `rate` is its learning rate over the decoder's. It is frozen before epoch
    `from_epoch`, counted from 0.
    """

    pyramid: Pyramid
    trainable: str
    rate: float
    from_epoch: int

    @property
    def is_apart(self) -> bool:
        """Whether it is trained, and with another rate or from another epoch on than the rest."""
        return self.trainable != FROZEN and (self.rate != 1 or self.from_epoch > 0)

    def let_train(self, epoch: int) -> bool:
        """Sets which layers are trained in an epoch; whether that has changed anything.

        Batch normalisation that is not trained uses its stored statistics.
        """
        chosen = self.layers_trained(self.trainable if epoch >= self.from_epoch else FROZEN)
        changed = [layer for layer in self.pyramid.layers if layer.trainable != (layer in chosen)]
        for layer in changed:
            layer.trainable = layer in chosen
        return bool(changed)

    def layers_trained(self, which: str) -> set[layers.Layer]:
        """The layers that one of the words for `trainable` names."""
        if which == FROZEN:
            return set()
        wanted = self.pyramid.last_stages() if which == "last_stages" else self.pyramid.layers
        if which == "all":
            return set(wanted)
        return {layer for layer in wanted if not isinstance(layer, layers.BatchNormalization)}

    def variables(self) -> list[keras.Variable]:
        """Its weights that are trained from epoch `from_epoch` on."""
        self.let_train(self.from_epoch)
        return [weight for layer in self.pyramid.layers for weight in layer.trainable_variables]


def encoder_of(model: keras.Model) -> Encoder | None:
    """The encoder that a model's function has named as its attribute `encoder`, if any."""
    found = getattr(model, "encoder", None)
    return found if isinstance(found, Encoder) else None
