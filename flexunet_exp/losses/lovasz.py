"""The Lovász extension of the Jaccard loss: 1 - IoU itself, made continuous."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from flexunet_exp.losses.arguments import check_arguments
from flexunet_exp.losses.base import ClassMeanLoss, class_totals

# Errors are ranked in steps of 2^-16. The extension has slopes that sum to at most 1, so this moves
# a class's term by less than 2^-16.
RANKS = 2**16


@keras.saving.register_keras_serializable(package="flexunet_exp")
class LovaszSoftmax(ClassMeanLoss):
    """Mean Lovász extension of 1 - IoU of the classes that the batch's truth shows; 0 without any.

    The error of a pixel for a class is 1 - p inside the class and p outside it, p the softmax. With
    the errors sorted from the largest, each one is multiplied by what its pixel adds to 1 - IoU
    when it joins the wrong pixels; a term is the sum over all valid pixels of the batch. Where
    every p is 0 or 1, it is 1 - IoU. Source: Berman et al. (2018), arXiv:1705.08790, with
    classes="present" and per_image=False. `class_weights` and `include_background` are as in Dice.
    Errors are ranked by counting in 65536 steps instead of sorting: a term is off by less than
    1.6e-5, and equal errors get equal slopes. Raises InputError for weights as CrossEntropy does.
    """

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        include_background: bool = False,
    ):
        check_arguments("LovaszSoftmax", locals())
        super().__init__("lovasz_softmax", class_weights, include_background)

    def terms(self, truth: Any, chances: Any) -> tuple[Any, Any]:
        errors = truth + chances - 2 * truth * chances
        slopes = ops.stop_gradient(jaccard_slopes(truth, errors))
        return class_totals(slopes * errors), class_totals(truth)


def jaccard_slopes(truth: Any, errors: Any) -> Any:
    """What each pixel's error adds to its class's 1 - IoU, both arguments (B, H, W, C).

    Ignored pixels count as false ones without an error: they rank last and add nothing.
    """
    num_classes = truth.shape[-1]
    cells = ops.reshape(rank_cells(truth, errors), (-1,))
    counts = ops.segment_sum(ops.ones_like(cells), cells, num_classes * RANKS * 2)
    slopes = rank_slopes(ops.reshape(counts, (num_classes, RANKS, 2)))
    return ops.reshape(ops.take(ops.reshape(slopes, (-1,)), cells), ops.shape(truth))


def rank_cells(truth: Any, errors: Any) -> Any:
    """Each pixel's cell in a table (C, RANKS, 2): class, rank of its error, whether it is true."""
    ranks = ops.cast((1 - errors) * (RANKS - 1), "int32")
    classes = ops.arange(truth.shape[-1], dtype="int32")
    return 2 * (classes * RANKS + ranks) + ops.cast(truth, "int32")


def rank_slopes(counts: Any) -> Any:
    """Slopes of the pixels counted in (C, RANKS, 2), rank by rank from the worst error.

    A rank takes intersection and union, before it I and U, to I' and U'. Its f false and t true
    pixels add I / U - I' / U' in any order; the mean of false first and true first gives a false
    one (I + I') / (2 U U'), a true one (1 / U + 1 / U') / 2.
    """
    false, true = counts[..., 0], counts[..., 1]
    size = ops.sum(true, axis=1, keepdims=True)
    intersection, union = size - ops.cumsum(true, axis=1), size + ops.cumsum(false, axis=1)
    mean_intersection = ops.cast(intersection, "float32") + 0.5 * ops.cast(true, "float32")
    before = ops.divide_no_nan(1.0, ops.cast(union - false, "float32"))
    after = ops.divide_no_nan(1.0, ops.cast(union, "float32"))
    return ops.stack([mean_intersection * before * after, (before + after) / 2], axis=-1)
