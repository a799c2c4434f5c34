"""Adam: in one operation a variable where TensorFlow trains, and with a rate of its own for each group of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


class FusedAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """Keras's Adam (Kingma and Ba 2015); under TensorFlow the same numbers from its own kernel.

    Keras writes an update as some twenty operations, each a pass over the weights: a tenth of a ResNet50V2 step at
    32x32 on a CPU, and a quarter of the time that tracing the step takes.
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        """Update the variables. What all of them share is computed here; ``update_step`` is called for each."""
        step = ops.cast(self.iterations + 1, "float32")
        self._powers = ops.power(self.beta_1, step), ops.power(self.beta_2, step)
        return super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One variable's step."""
        if keras.backend.backend() != "tensorflow":
            super().update_step(gradient, variable, learning_rate)
            return
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


class GroupedAdam(FusedAdam):
    """Adam whose learning rate is multiplied by the factor of a variable's group.

    ``groups`` gives the group of each trainable variable, in their order. The factors are variables of the optimizer,
    so that they are saved with it and may change between epochs on any backend.
    """

    def __init__(self, learning_rate: Any, groups: Sequence[int]) -> None:
        super().__init__(learning_rate)
        self._groups = list(groups)

    def build(self, variables: Any) -> None:
        """Make the factors, all 1, and Adam's own variables."""
        if self.built:
            return
        super().build(variables)
        self._factors = [self.add_variable((), "ones", name=f"group_{g}_factor") for g in range(max(self._groups) + 1)]

    def set_factors(self, factors: Sequence[float]) -> None:
        """Give each group its factor from now on."""
        for variable, factor in zip(self._factors, factors, strict=True):
            variable.assign(factor)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Adam's step at the learning rate of the variable's group."""
        factor = self._factors[self._groups[self._get_variable_index(variable)]]
        rate = ops.cast(learning_rate, variable.dtype) * ops.cast(factor, variable.dtype)
        super().update_step(gradient, variable, rate)
