"""Logits of a network beside its main ones, which only a training with deep supervision computes.

Lee et al., "Deeply-Supervised Nets" (2015), arXiv:1409.5185.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import keras
from keras import layers

from flexunet_exp.models.blocks import enlarged


@dataclass(frozen=True)
class SideOutputs:
    """Makes the side logits (B, H, W, C) float32 of a network, finest first.

    They are made when a training asks for them: the heads that only they need are no part of the
    network that predicts, and without deep supervision no random number is drawn for them.
    """

    make: Callable[[], list[keras.KerasTensor]]


def of_features(
    features: Sequence[tuple[keras.KerasTensor, int]], num_classes: int, kernel_size: int = 1
) -> SideOutputs:
    """A head for each feature map (B, H / stride, W / stride, F) with its stride, finest first."""

    def heads() -> Iterator[keras.KerasTensor]:
        for x, stride in features:
            head = layers.Conv2D(
                num_classes, kernel_size, padding="same", dtype="float32", name=f"side{stride}_head"
            )
            yield enlarged(head(x), stride, f"side{stride}", dtype="float32")

    return SideOutputs(lambda: list(heads()))


def side_outputs_of(model: keras.Model) -> SideOutputs | None:
    """What a model's function has named as its attribute `side_outputs`, if anything."""
    found = getattr(model, "side_outputs", None)
    return found if isinstance(found, SideOutputs) else None
