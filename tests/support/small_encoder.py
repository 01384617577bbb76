"""An encoder of a package that is not ours: one convolution a stride, for trainings of seconds."""

from __future__ import annotations

import keras
from keras import layers

from flexunet_exp.models.encoders.pyramid import Pyramid


def small(image: keras.KerasTensor, weights: str | None) -> Pyramid:
    """Strides 2 to 32 with four channels each; random weights."""
    own = [layers.Rescaling(1 / 127.5, -1.0, dtype="float32", name="encoder_scaling")]
    x, features = own[0](image), {}
    for stride in (2, 4, 8, 16, 32):
        name = f"encoder{stride}"
        convolution = layers.Conv2D(4, 3, 2, "same", use_bias=False, name=name)
        norm = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")
        own += [convolution, norm, layers.ReLU(name=f"{name}_relu")]
        for layer in own[-3:]:
            x = layer(x)
        features[stride] = x
    return Pyramid(image, features, tuple(own), None)
