"""Scores computed on the device during training, from one confusion matrix an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

IGNORE = 255  # a pixel of no class, as in `data.masks`


@keras.saving.register_keras_serializable(package="flexunet_exp")
class SegmentationScores(keras.metrics.Metric):
    """Dice and IoU of the defect classes, pooled over all pixels of the epoch.

    `result` is a dict, which Keras spreads into its logs: `dice` and `iou` (0..1) are means over
    the defect classes that have truth, `dice/<class>` and `iou/<class>` belong to one class. An
    undefined figure is 0, because Keras's callbacks would compare with a NaN from then on.
    """

    def __init__(self, class_names: Sequence[str], name: str = "scores"):
        super().__init__(name=name)
        self.class_names = list(class_names)
        shape = (len(self.class_names), len(self.class_names))
        self.counts = self.add_variable(shape, "zeros", dtype="int64", name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add index masks (B, H, W), 255 = ignore, and logits (B, H, W, C)."""
        prediction = ops.argmax(y_pred, axis=-1)
        self.counts.assign_add(confusion(y_true, prediction, len(self.class_names)))

    def result(self) -> dict[str, Any]:
        counts = ops.cast(self.counts, "float64")
        hits = ops.diagonal(counts)[1:]
        truth, predicted = ops.sum(counts, axis=1)[1:], ops.sum(counts, axis=0)[1:]
        # A class that has no truth has no hits either: it adds 0 to the sum.
        num_defined = ops.sum(ops.cast(truth > 0, "float64"))
        classwise = {
            "dice": ops.divide_no_nan(2 * hits, truth + predicted),
            "iou": ops.divide_no_nan(hits, truth + predicted - hits),
        }
        figures = {
            name: ops.divide_no_nan(ops.sum(values), num_defined)
            for name, values in classwise.items()
        }
        for index, defect in enumerate(self.class_names[1:]):
            figures |= {f"{name}/{defect}": values[index] for name, values in classwise.items()}
        return figures

    def get_config(self) -> dict[str, Any]:
        return {"class_names": self.class_names, "name": self.name}


@keras.saving.register_keras_serializable(package="flexunet_exp")
class Invented(keras.metrics.Metric):
    """The share of pixels, 0..1, predicted as a defect in pictures, or patches, that show none.

    Ignored pixels do not count; 0 where every picture shows a defect.
    """

    def __init__(self, name: str = "invented"):
        super().__init__(name=name)
        self.pixels = self.add_variable((2,), "zeros", dtype="int64", name="pixels")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add index masks (B, H, W), 255 = ignore, and logits (B, H, W, C)."""
        truth = ops.cast(y_true, "int32")
        is_known = truth != IGNORE
        is_good = ops.logical_not(
            ops.any(ops.logical_and(truth > 0, is_known), axis=(1, 2), keepdims=True)
        )
        counted = ops.logical_and(is_good, is_known)
        invented = ops.logical_and(counted, ops.argmax(y_pred, axis=-1) > 0)
        sums = [ops.sum(ops.cast(each, "int64")) for each in (invented, counted)]
        self.pixels.assign_add(ops.stack(sums))

    def result(self) -> Any:
        invented, counted = ops.unstack(ops.cast(self.pixels, "float64"))
        return ops.divide_no_nan(invented, counted)


def confusion(truth: Any, prediction: Any, num_classes: int) -> Any:
    """Pixels by truth (row) and prediction (column), (C, C) int64, of index masks (B, H, W).

    The counts are a product of one-hot masks: on a GPU Keras compiles with XLA, which cannot
    compile Keras's bincount. Each image has its own product, which is exact in float32 up to 2^24
    pixels. An ignored pixel (255) has an all-zero row in the one-hot truth and is not counted.
    """
    truth, prediction = (
        ops.reshape(
            ops.one_hot(ops.cast(mask, "int32"), num_classes, dtype="float32"),
            (ops.shape(mask)[0], -1, num_classes),
        )
        for mask in (truth, prediction)
    )
    counts = ops.matmul(ops.transpose(truth, (0, 2, 1)), prediction)
    return ops.sum(ops.cast(counts, "int64"), axis=0)
