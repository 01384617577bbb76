"""Sums of losses, which share the softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from flexunet_exp.losses.arguments import check_arguments
from flexunet_exp.losses.base import MaskLoss
from flexunet_exp.losses.cross_entropy import CrossEntropy
from flexunet_exp.losses.overlap import Dice


@keras.saving.register_keras_serializable(package="flexunet_exp")
class CrossEntropyDice(MaskLoss):
    """cross_entropy_weight * CrossEntropy + dice_weight * Dice.

    The other arguments are those of the two losses. Isensee et al., "nnU-Net" (2021),
    doi:10.1038/s41592-020-01008-z, add the two with equal weights. Raises InputError for a negative
    weight, and as the two losses do.
    """

    def __init__(
        self,
        cross_entropy_weight: float = 1.0,
        dice_weight: float = 1.0,
        class_weights: Sequence[float] | None = None,
        smooth: float = 0.0,
        include_background: bool = False,
        label_smoothing: float = 0.0,
        pool_batches: int = 1,
    ):
        check_arguments("CrossEntropyDice", locals())
        super().__init__("cross_entropy_dice", class_weights)
        self.cross_entropy_weight = cross_entropy_weight
        self.dice_weight = dice_weight
        self.cross_entropy = CrossEntropy(class_weights, label_smoothing)
        self.dice = Dice(class_weights, smooth, include_background, pool_batches)
        self.pool = self.dice.pool

    def value(self, truth: Any, log_chances: Any) -> Any:
        cross_entropy = self.cross_entropy.value(truth, log_chances)
        dice = self.dice.value(truth, log_chances)
        return self.cross_entropy_weight * cross_entropy + self.dice_weight * dice

    def get_config(self) -> dict[str, Any]:
        return {
            "cross_entropy_weight": self.cross_entropy_weight,
            "dice_weight": self.dice_weight,
            **self.cross_entropy.get_config(),
            **self.dice.get_config(),
        }
