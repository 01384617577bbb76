"""Which epochs can be the best one: those that beat predicting nothing and everything.

Predicting only background scores 0 macro Dice. Painting every pixel as a class scores 2p / (1 + p)
Dice of that class, p being its share of the validation pixels. An epoch *qualifies* if its macro
Dice exceeds the mean of these over the classes, whatever `monitor` is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import keras
import numpy as np

from flexunet_exp.metrics import SegmentationScores


def bar(pixels: np.ndarray) -> float:
    """What the macro Dice of an epoch must exceed, from the pixels (C,) of each class.

    The mean is over the defect classes that have pixels, as that of the macro Dice.
    """
    shares = pixels[1:][pixels[1:] > 0] / max(pixels.sum(), 1)
    return float(np.mean(2 * shares / (1 + shares))) if len(shares) else 0.0


def validated_pixels(model: keras.Model) -> np.ndarray:
    """The pixels (C,) of each class in the validation masks at the network's size.

    They are right from the end of a validation to the beginning of the next epoch.
    """
    nested = [getattr(metric, "metrics", [metric]) for metric in model.metrics]
    scores = next(m for group in nested for m in group if isinstance(m, SegmentationScores))
    return np.asarray(keras.ops.convert_to_numpy(scores.counts)).sum(axis=1)


def qualifies(model: keras.Model, logs: Mapping | None) -> bool:
    """Whether the epoch whose validation has just ended can be the best one."""
    return float((logs or {})["val_dice"]) > bar(validated_pixels(model))


class FromFirstQualifying(keras.callbacks.Callback):
    """Lets early stopping count its patience from the first epoch that qualifies.

    Before it, most epochs of a slow start are without progress, although they lead to it. It comes
    before the callbacks that it holds back.
    """

    def __init__(self, others: Iterable[keras.callbacks.Callback]):
        super().__init__()
        self.held = [one for one in others if isinstance(one, keras.callbacks.EarlyStopping)]
        self.first: int | None = None  # epoch, counted from 1

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        if self.first is None and qualifies(self.model, logs):
            self.first = epoch + 1
        if self.first is None:
            for callback in self.held:
                callback.start_from_epoch = max(callback.start_from_epoch, epoch + 1)
