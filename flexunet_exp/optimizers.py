"""Adam in one pass over the weights."""

from __future__ import annotations

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
