"""Adam, in one operation a variable where TensorFlow trains."""

from __future__ import annotations

from typing import Any

import keras


def adam(learning_rate: float | keras.optimizers.schedules.LearningRateSchedule) -> keras.optimizers.Adam:
    """Keras's Adam (Kingma and Ba 2015) with its default moments."""
    if keras.backend.backend() == "tensorflow":
        return FusedAdam(learning_rate)
    return keras.optimizers.Adam(learning_rate)


class FusedAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """The same numbers from TensorFlow's own kernel.

    Keras writes an update as some twenty operations, each a pass over the weights: a tenth of a ResNet50V2 step at
    32x32 on a CPU, and a quarter of the time that tracing the step takes.
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        # Outside of update_step, which is called once a variable.
        step = keras.ops.cast(self.iterations + 1, "float32")
        self._powers = keras.ops.power(self.beta_1, step), keras.ops.power(self.beta_2, step)
        return super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        import tensorflow as tf

        position = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[position].value.handle,
            v=self._velocities[position].value.handle,
            beta1_power=self._powers[0],
            beta2_power=self._powers[1],
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
