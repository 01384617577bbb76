"""Losses that are a mean over pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from flexunet_exp.losses.arguments import check_arguments
from flexunet_exp.losses.base import MaskLoss, class_totals, valid_pixels

# A power below 1 has an infinite slope at 0: the base is at least this, which bounds the slope.
SMALLEST_BASE = 1e-7


@keras.saving.register_keras_serializable(package="flexunet_exp")
class CrossEntropy(MaskLoss):
    """-log softmax at the true class, as a mean over the batch's valid pixels; 0 without any.

    With `class_weights` w (C numbers of at least 0) it is the weighted mean sum(w_t ce) / sum(w_t),
    t the pixel's truth. With `label_smoothing` e (0 <= e < 1) a pixel's numerator is
    (1 - e) w_t ce_t + e / C sum_c(w_c ce_c), ce_c = -log softmax at c. Both are as PyTorch defines
    `torch.nn.CrossEntropyLoss`. Smoothing: Szegedy et al. (2016), arXiv:1512.00567. Raises
    InputError for a smoothing out of its range and for weights that are negative, not finite, or
    (at the first call) not one a class.
    """

    def __init__(self, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0):
        check_arguments("CrossEntropy", locals())
        super().__init__("cross_entropy", class_weights)
        self.label_smoothing = label_smoothing

    def value(self, truth: Any, log_chances: Any) -> Any:
        weights = self.weights(truth.shape[-1])
        totals = ops.sum(weights * self.penalty_totals(truth, log_chances))
        return ops.divide_no_nan(totals, ops.sum(weights * class_totals(truth)))

    def penalty_totals(self, truth: Any, log_chances: Any) -> Any:
        """Every class's penalties (C,) times its share of the (smoothed) truth, over all pixels."""
        of_truth = self.penalty(ops.sum(truth * log_chances, axis=-1, keepdims=True))
        totals = class_totals(truth * of_truth)
        if not self.label_smoothing:
            return totals
        of_all = class_totals(valid_pixels(truth) * self.penalty(log_chances))
        share = self.label_smoothing / truth.shape[-1]
        return (1 - self.label_smoothing) * totals + share * of_all

    def penalty(self, log_chance: Any) -> Any:
        """What the log-probability of a class costs where that class is the truth."""
        return -log_chance

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="flexunet_exp")
class Focal(CrossEntropy):
    """Cross-entropy with each pixel times (1 - p)^gamma, p the softmax at its class.

    Lin et al., "Focal loss for dense object detection" (2017), arXiv:1708.02002, for several
    classes; `class_weights` replace the paper's alpha. The mean is divided by the sum of the
    weights, as in CrossEntropy. `gamma` (at least 0) is 2 as in the paper; 0 gives CrossEntropy.
    With `label_smoothing` every class has its own (1 - p_c)^gamma. Raises InputError for a negative
    `gamma`, and as CrossEntropy does.
    """

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        gamma: float = 2.0,
        label_smoothing: float = 0.0,
    ):
        check_arguments("Focal", locals())
        super().__init__(class_weights, label_smoothing)
        self.name = "focal"
        self.gamma = gamma

    def penalty(self, log_chance: Any) -> Any:
        missing = ops.maximum(-ops.expm1(log_chance), SMALLEST_BASE)
        return -log_chance * missing**self.gamma

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gamma": self.gamma}
