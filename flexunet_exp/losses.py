"""Losses on index masks and logits: ignored pixels count nowhere, absent classes have no term.

y_true (B, H, W) class indices, 255 = ignore; y_pred (B, H, W, C) logits of any float type, computed
in float32. `call` returns the batch's one value with shape (1,), because Keras divides a loss among
replicas only where it reduces that loss itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from flexunet_exp.data.masks import IGNORE
from flexunet_exp.errors import InputError


@keras.saving.register_keras_serializable(package="flexunet_exp")
class CrossEntropy(keras.losses.Loss):
    """-log softmax at the true class, as a mean over the batch's valid pixels; 0 without any.

    With `class_weights` w (C numbers of at least 0) the weighted mean sum(w_t ce) / sum(w_t), t the
    pixel's truth, as PyTorch defines it for `torch.nn.CrossEntropyLoss`. Raises InputError for
    weights that are negative, not finite, or (at the first call) not one a class.
    """

    def __init__(self, class_weights: Sequence[float] | None = None):
        super().__init__(name="cross_entropy", dtype="float32")
        require(weights_problem(class_weights))
        self.class_weights = class_weights

    def call(self, y_true: Any, y_pred: Any) -> Any:
        truth = ops.cast(y_true, "int32")
        valid = ops.not_equal(truth, IGNORE)
        truth = ops.where(valid, truth, 0)
        weights = ops.take(weight_vector(self.class_weights, y_pred.shape[-1]), truth)
        weights = ops.where(valid, weights, 0.0)
        losses = ops.sparse_categorical_crossentropy(truth, y_pred, from_logits=True)
        mean = ops.divide_no_nan(ops.sum(weights * losses), ops.sum(weights))
        return ops.reshape(mean, (1,))

    def get_config(self) -> dict[str, Any]:
        return {"class_weights": self.class_weights}


@keras.saving.register_keras_serializable(package="flexunet_exp")
class Dice(keras.losses.Loss):
    """1 - the mean soft Dice of the classes that the batch's truth shows; 0 if it shows none.

    Of a class (2 sum(y p) + smooth) / (sum(y) + sum(p) + smooth), y the one-hot truth and p the
    softmax, summed over all valid pixels of the batch: Milletari et al., "V-Net" (2016),
    arXiv:1606.04797, without their squares. `class_weights` weight the mean over classes, in which
    background takes part only with `include_background`. A class with a term has a true pixel, so
    `smooth` is 0: nothing can divide by zero, while 1 would credit a missed pixel with a Dice of
    0.5. Raises InputError for a negative `smooth`, and for weights as CrossEntropy does.
    """

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        smooth: float = 0.0,
        include_background: bool = False,
    ):
        super().__init__(name="dice", dtype="float32")
        require(weights_problem(class_weights), number_problem("smooth", smooth))
        self.class_weights = class_weights
        self.smooth = smooth
        self.include_background = include_background

    def call(self, y_true: Any, y_pred: Any) -> Any:
        num_classes = y_pred.shape[-1]
        truth = ops.cast(y_true, "int32")
        # The ignored pixels' 255 is no class, so their row of the one-hot truth is zero.
        one_hot = ops.one_hot(truth, num_classes, dtype="float32")
        valid = ops.cast(ops.not_equal(truth, IGNORE), "float32")
        softmax = ops.softmax(y_pred) * valid[..., None]

        pixels = (0, 1, 2)
        true, predicted = ops.sum(one_hot, axis=pixels), ops.sum(softmax, axis=pixels)
        hits = ops.sum(one_hot * softmax, axis=pixels)
        dice = ops.divide_no_nan(2 * hits + self.smooth, true + predicted + self.smooth)

        present = ops.cast(true > 0, "float32")
        first = 0 if self.include_background else 1
        weights = (weight_vector(self.class_weights, num_classes) * present)[first:]
        mean = ops.divide_no_nan(ops.sum(weights * (1 - dice[first:])), ops.sum(weights))
        return ops.reshape(mean, (1,))

    def get_config(self) -> dict[str, Any]:
        return {
            "class_weights": self.class_weights,
            "smooth": self.smooth,
            "include_background": self.include_background,
        }


@keras.saving.register_keras_serializable(package="flexunet_exp")
class CrossEntropyDice(keras.losses.Loss):
    """cross_entropy_weight * CrossEntropy + dice_weight * Dice, the other arguments being theirs.

    Isensee et al., "nnU-Net" (2021), doi:10.1038/s41592-020-01008-z, add the two with equal
    weights. Raises InputError for a negative weight, and as the two losses do.
    """

    def __init__(
        self,
        cross_entropy_weight: float = 1.0,
        dice_weight: float = 1.0,
        class_weights: Sequence[float] | None = None,
        smooth: float = 0.0,
        include_background: bool = False,
    ):
        super().__init__(name="cross_entropy_dice", dtype="float32")
        require(
            number_problem("cross_entropy_weight", cross_entropy_weight),
            number_problem("dice_weight", dice_weight),
            weights_problem(class_weights),
            number_problem("smooth", smooth),
        )
        self.cross_entropy_weight = cross_entropy_weight
        self.dice_weight = dice_weight
        self.cross_entropy = CrossEntropy(class_weights)
        self.dice = Dice(class_weights, smooth, include_background)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        cross_entropy = self.cross_entropy.call(y_true, y_pred)
        dice = self.dice.call(y_true, y_pred)
        return self.cross_entropy_weight * cross_entropy + self.dice_weight * dice

    def get_config(self) -> dict[str, Any]:
        return {
            "cross_entropy_weight": self.cross_entropy_weight,
            "dice_weight": self.dice_weight,
            **self.dice.get_config(),
        }


def weight_vector(class_weights: Sequence[float] | None, num_classes: int) -> Any:
    """The weights as a tensor (C,), ones for None; InputError unless there is one a class."""
    if class_weights is None:
        return ops.ones((num_classes,), dtype="float32")
    if len(class_weights) != num_classes:
        raise InputError(
            f"loss.class_weights has {len(class_weights)} numbers, expected {num_classes}: one a "
            "class, the background first. Try loss.class_weights=none"
        )
    return ops.convert_to_tensor(class_weights, dtype="float32")


def require(*problems: str | None) -> None:
    """Raises InputError with those problems that are there."""
    if found := [problem for problem in problems if problem]:
        raise InputError(found)


def weights_problem(class_weights: Any) -> str | None:
    if class_weights is None:
        return None
    values = class_weights if isinstance(class_weights, list | tuple) else [class_weights]
    wrong = [repr(value) for value in values if not is_weight(value)]
    if not wrong:
        return None
    return (
        "loss.class_weights must be none or a list of numbers of at least 0; found "
        f"{', '.join(wrong)}. Try loss.class_weights=none"
    )


def number_problem(name: str, value: Any) -> str | None:
    if is_weight(value):
        return None
    return f"loss.{name}={value!r} must be a number of at least 0. Try loss.{name}=1"


def is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0
