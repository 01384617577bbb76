"""Base classes of losses: from an index mask and logits to one-hot truth and log-probabilities.

Both are computed once a batch, however many terms a loss has. On a CPU, TensorFlow's log-softmax
takes a third of the time of its cross-entropy, and the exponential of it is the softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from flexunet_exp.losses.arguments import weight_vector


class MaskLoss(keras.losses.Loss):
    """A loss on y_true (B, H, W), class indices with 255 = ignore, and y_pred (B, H, W, C), logits.

    Logits of any float type are computed in float32. `call` returns the batch's one value with
    shape (1,), because Keras divides a loss among replicas only where it reduces it itself.
    """

    def __init__(self, name: str, class_weights: Sequence[float] | None):
        super().__init__(name=name, dtype="float32")
        self.class_weights = class_weights

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # An ignored pixel (255) has an all-zero row in the one-hot truth.
        truth = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype="float32")
        return ops.reshape(self.value(truth, ops.log_softmax(y_pred)), (1,))

    def value(self, truth: Any, log_chances: Any) -> Any:
        """The loss, a scalar, of one-hot truth (zero where ignored) and log-probabilities."""
        raise NotImplementedError

    def weights(self, num_classes: int) -> Any:
        return weight_vector(self.class_weights, num_classes)

    def get_config(self) -> dict[str, Any]:
        return {"class_weights": self.class_weights}


class ClassMeanLoss(MaskLoss):
    """The mean of one term a class, over the classes that the batch's truth shows; 0 without any.

    `class_weights` weight the mean, in which background takes part only with `include_background`.
    """

    def __init__(self, name: str, class_weights: Sequence[float] | None, include_background: bool):
        super().__init__(name, class_weights)
        self.include_background = include_background

    def value(self, truth: Any, log_chances: Any) -> Any:
        terms, true = self.terms(truth, ops.exp(log_chances) * valid_pixels(truth))
        first = 0 if self.include_background else 1
        present = ops.cast(true > 0, "float32")
        weights = (self.weights(truth.shape[-1]) * present)[first:]
        return ops.divide_no_nan(ops.sum(weights * terms[first:]), ops.sum(weights))

    def terms(self, truth: Any, chances: Any) -> tuple[Any, Any]:
        """The classes' terms (C,) from one-hot truth and softmax, both zero where ignored.

        Also the true pixels (C,) of each class: a term without any is not used, but must be finite.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "include_background": self.include_background}


def valid_pixels(truth: Any) -> Any:
    """1 where one-hot truth (B, H, W, C) has a class, 0 where it is ignored: (B, H, W, 1)."""
    return ops.sum(truth, axis=-1, keepdims=True)


def class_totals(values: Any) -> Any:
    """Sums (C,) of (B, H, W, C) over all pixels.

    Sums each row first: one float32 sum over half a million pixels has a relative error of up to
    1e-5, sums of rows one of 2e-7, in the same time.
    """
    return ops.sum(ops.sum(values, axis=2), axis=(0, 1))
