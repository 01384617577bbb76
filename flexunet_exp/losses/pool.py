"""Sums of the last batches of a training, which a loss of overlap adds to those of the present one.

Most batches show few of the classes. With the sums of batches before it, a class has a term in a
batch that does not show it, and pixels that invent the class cost something there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

SUMS = 3  # of a class: hits, true pixels, predicted ones


class BatchPool:
    """The sums of each class in the `batches` - 1 batches before the present one, without gradient.

    A loss does not know whether it is called in training or in validation. The pool is therefore
    off, and neither adds nor changes anything, until a training's callback turns it on.
    """

    def __init__(self, batches: int):
        self.batches = batches
        self.variables: list[keras.Variable] = []  # that decide how a training goes on

    def build(self, num_classes: int) -> None:
        """Creates the variables, which a traced step must find; no batch has been seen."""
        options: dict[str, Any] = {"dtype": "float32", "trainable": False}
        shape = (self.batches - 1, SUMS, num_classes)
        self.past = keras.Variable(keras.ops.zeros(shape), name="sums_of_batches", **options)
        self.is_on = keras.Variable(0.0, name="pools", **options)
        self.variables = [self.past]

    def turn(self, on: bool) -> None:
        self.is_on.assign(float(on))

    def added(self, sums: Sequence[Any]) -> list[Any]:
        """The sums (C,) of a batch with those of the batches before it, which it then joins."""
        if not self.variables:
            return list(sums)
        is_on = self.is_on > 0
        before = ops.where(is_on, ops.sum(self.past, axis=0), 0.0)
        batch = ops.stop_gradient(ops.stack(sums))
        later = ops.concatenate([batch[None], self.past[:-1]])
        self.past.assign(ops.where(is_on, later, self.past))
        return [own + earlier for own, earlier in zip(sums, ops.unstack(before, SUMS), strict=True)]


def pool_of(loss: Any) -> BatchPool | None:
    """The pool of a loss; None where each batch is on its own."""
    pool = getattr(loss, "pool", None)
    return pool if isinstance(pool, BatchPool) else None
