"""Adam in one pass over the weights; a part of the weights with its own learning rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="flexunet_exp")
class FusedAdam(keras.optimizers.Adam):
    """keras.optimizers.Adam with the same formula and epsilon, in one pass over the weights.

    Keras updates moments and weights by a dozen operations. Each is a pass over arrays as large as
    the network: together a sixth of the step of a network of 125 million weights
    (docs/measured/speed.md). With `weight_decay` the optimizer is AdamW. With amsgrad, and for
    sparse gradients, Keras's own update runs. Source: Kingma and Ba, "Adam" (2015),
    arXiv:1412.6980, the last formula of section 2.
    """

    rate_of_step: Any = None  # while the weight decay of a step is applied

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        # Keras computes the schedule again for every variable: half of the time that tracing a step
        # of a decoder with a cosine schedule takes.
        rate = super()._get_current_learning_rate()
        self.rate_of_step = None if isinstance(rate, keras.Variable) else rate
        try:
            super()._apply_weight_decay(variables)
        finally:
            self.rate_of_step = None

    def _get_current_learning_rate(self) -> Any:
        known = self.rate_of_step
        return super()._get_current_learning_rate() if known is None else known

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self.amsgrad or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        dtype, index = variable.dtype, self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, dtype)
        beta_1, beta_2 = tf.cast(self.beta_1, dtype), tf.cast(self.beta_2, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )


class SlowPart(keras.optimizers.Optimizer):
    """What `slow_down` mixes into an optimizer; see there."""

    slow: frozenset[str] = frozenset()  # keys of the variables that are slowed down
    share = 1.0
    first_step = 0
    at_slow = False  # whether one of them is being updated

    @property
    def iterations(self) -> Any:
        """The steps done; for a slow variable, those since it has been trained."""
        if not self.at_slow:
            return super().iterations
        first = self.first_step // (self.gradient_accumulation_steps or 1)
        # A step whose gradients overflow in float16 is not counted, so fewer may be done.
        return keras.ops.maximum(super().iterations - first, 0)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self.is_slow(variable):
            with self.slowly():
                super().update_step(gradient, variable, learning_rate * self.share)
        else:
            super().update_step(gradient, variable, learning_rate)

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        super()._apply_weight_decay([one for one in variables if not self.is_slow(one)])
        with self.slowly():
            super()._apply_weight_decay([one for one in variables if self.is_slow(one)])

    def _get_current_learning_rate(self) -> Any:
        rate = super()._get_current_learning_rate()
        return rate * self.share if self.at_slow else rate

    def is_slow(self, variable: Any) -> bool:
        return self._var_key(variable) in self.slow

    @contextmanager
    def slowly(self) -> Iterator[None]:
        self.at_slow = True
        try:
            yield
        finally:
            self.at_slow = False


def slow_down(
    optimizer: keras.optimizers.Optimizer,
    variables: Sequence[keras.Variable],
    share: float,
    first_step: int = 0,
) -> None:
    """Trains some variables with `share` of the learning rate, weight decay included.

    Works with any optimizer of Keras, and any schedule. Adam's first and second moments are
    corrected for the steps since `first_step`, with which these variables begin to be trained:
    counted from the training's begin, their first steps would be up to six times too long.
    (keras.optimizers.MultiOptimizer has no learning rate that a callback can read or set, no
    moving average, and updates all variables or none.)
    """
    kind = type(optimizer)
    optimizer.__class__ = type(kind.__name__, (SlowPart, kind), {})
    optimizer.slow = frozenset(optimizer._var_key(variable) for variable in variables)
    optimizer.share, optimizer.first_step = share, first_step
