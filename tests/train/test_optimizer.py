"""The fused Adam gives the same weights as the Adam of Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from edgekit.train.optimizer import FusedAdam


def trained(optimizer: Any) -> list[Any]:
    """Weights after 24 steps, without BatchNorm: where a gradient is 0, Adam takes full steps from rounding errors."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
    model.compile(optimizer, "mse")
    draws = np.random.default_rng(0)
    model.fit(draws.normal(size=(64, 8, 8, 3)), draws.normal(size=(64, 3)), epochs=3, batch_size=8, verbose=0)
    return list(model.get_weights())


@pytest.mark.parametrize("schedule", [False, True])
def test_the_steps_equal_those_of_keras(schedule: bool) -> None:
    rate: Any = keras.optimizers.schedules.CosineDecay(1e-2, 24) if schedule else 1e-2
    for fused, plain in zip(trained(FusedAdam(rate)), trained(keras.optimizers.Adam(rate)), strict=True):
        np.testing.assert_allclose(fused, plain, atol=1e-5)


def test_the_state_is_saved_and_loaded_like_that_of_keras() -> None:
    variable = keras.Variable(np.ones(3, np.float32))
    first = FusedAdam(0.1)
    first.build([variable])
    first.apply([keras.ops.ones((3,))])
    store: dict[str, Any] = {}
    first.save_own_variables(store)
    again, plain = FusedAdam(0.1), keras.optimizers.Adam(0.1)
    results = []
    for optimizer in (again, plain):
        copy = keras.Variable(keras.ops.convert_to_numpy(variable))
        optimizer.build([copy])
        optimizer.load_own_variables(store)
        optimizer.apply([keras.ops.full((3,), -2.0)])
        results.append(keras.ops.convert_to_numpy(copy))
    np.testing.assert_allclose(*results, rtol=1e-6)
