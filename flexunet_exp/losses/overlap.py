"""Losses of overlap, from soft counts of each class over all valid pixels of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from flexunet_exp.losses.arguments import check_arguments
from flexunet_exp.losses.base import ClassMeanLoss, class_totals
from flexunet_exp.losses.pool import BatchPool

# Below this a focal term is a straight line to 0: the slope of a root at 0 is infinite.
SMALLEST_CURVED = 1e-6


class OverlapLoss(ClassMeanLoss):
    """A mean over classes of a term that depends on three soft counts and `smooth`.

    With `pool_batches` N above 1, the counts in training are those of the last N batches, the
    present one among them, and a class has a term if any of these shows it. The gradient is that of
    the present batch alone. Validation counts each batch on its own.
    """

    def __init__(
        self,
        name: str,
        class_weights: Sequence[float] | None,
        smooth: float,
        include_background: bool,
        pool_batches: int,
    ):
        super().__init__(name, class_weights, include_background)
        self.smooth = smooth
        self.pool = BatchPool(pool_batches) if pool_batches > 1 else None

    def terms(self, truth: Any, chances: Any) -> tuple[Any, Any]:
        sums = [class_totals(truth * chances), class_totals(truth), class_totals(chances)]
        hits, true, predicted = self.pool.added(sums) if self.pool else sums
        return self.term(hits, true, predicted), true

    def term(self, hits: Any, true: Any, predicted: Any) -> Any:
        """The terms (C,) of the classes from sum(y p), sum(y) and sum(p), (C,) each."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        pool_batches = self.pool.batches if self.pool else 1
        return {**super().get_config(), "smooth": self.smooth, "pool_batches": pool_batches}


@keras.saving.register_keras_serializable(package="flexunet_exp")
class Dice(OverlapLoss):
    """1 - the mean soft Dice of the classes that the batch's truth shows; 0 if it shows none.

    The Dice of a class is (2 sum(y p) + smooth) / (sum(y) + sum(p) + smooth), y the one-hot truth
    and p the softmax, summed over all valid pixels of the batch: Milletari et al., "V-Net" (2016),
    arXiv:1606.04797, without the paper's squares. `class_weights` weight the mean over classes,
    which includes background only with `include_background`. `smooth` can be 0, since a class with
    a term has a true pixel: the denominator is above 0. With 1, a missed defect of one pixel would
    have a Dice of 0.5. `pool_batches` is as in OverlapLoss. Raises InputError for a negative
    `smooth`, and for weights as CrossEntropy does.
    """

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        smooth: float = 0.0,
        include_background: bool = False,
        pool_batches: int = 1,
    ):
        check_arguments("Dice", locals())
        super().__init__("dice", class_weights, smooth, include_background, pool_batches)

    def term(self, hits: Any, true: Any, predicted: Any) -> Any:
        return 1 - ops.divide_no_nan(2 * hits + self.smooth, true + predicted + self.smooth)


@keras.saving.register_keras_serializable(package="flexunet_exp")
class Tversky(OverlapLoss):
    """1 - the mean Tversky index TP / (TP + alpha FP + beta FN) of the classes the truth shows.

    TP = sum(y p), FP = sum((1 - y) p), FN = sum(y (1 - p)), `smooth` added above and below:
    Salehi et al. (2017), arXiv:1706.05721, whose best weights 0.3 and 0.7 are the defaults (a
    missed pixel costs more than an invented one). 0.5 and 0.5 give Dice, 1 and 1 the soft IoU. The
    mean and the other arguments are as in Dice. Raises InputError for negative `alpha`, `beta` or
    `smooth`, for `alpha` and `beta` both 0, and for weights as CrossEntropy does.
    """

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        alpha: float = 0.3,
        beta: float = 0.7,
        smooth: float = 0.0,
        include_background: bool = False,
        pool_batches: int = 1,
    ):
        check_arguments("Tversky", locals())
        super().__init__("tversky", class_weights, smooth, include_background, pool_batches)
        self.alpha = alpha
        self.beta = beta

    def term(self, hits: Any, true: Any, predicted: Any) -> Any:
        errors = self.alpha * (predicted - hits) + self.beta * (true - hits)
        return 1 - ops.divide_no_nan(hits + self.smooth, hits + errors + self.smooth)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "beta": self.beta}


@keras.saving.register_keras_serializable(package="flexunet_exp")
class FocalTversky(Tversky):
    """The mean of (1 - Tversky index)^(1 / gamma) of the classes that the batch's truth shows.

    Abraham & Khan (2019), arXiv:1810.07842. `gamma` (above 0) is 4/3 as in the paper, which gives
    the exponent 0.75; other code calls that exponent gamma. The paper's alpha weights the missed
    pixels; here, as in Tversky, `alpha` weights the invented ones. With `gamma` above 1 the slope
    grows as a class improves; below 1e-6 a term is linear, so that the slope stays finite.
    Raises InputError for a `gamma` that is not above 0, and as Tversky does.
    """

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        alpha: float = 0.3,
        beta: float = 0.7,
        gamma: float = 4 / 3,
        smooth: float = 0.0,
        include_background: bool = False,
        pool_batches: int = 1,
    ):
        check_arguments("FocalTversky", locals())
        super().__init__(class_weights, alpha, beta, smooth, include_background, pool_batches)
        self.name = "focal_tversky"
        self.gamma = gamma

    def term(self, hits: Any, true: Any, predicted: Any) -> Any:
        distance = super().term(hits, true, predicted)
        return distance * ops.maximum(distance, SMALLEST_CURVED) ** (1 / self.gamma - 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gamma": self.gamma}
