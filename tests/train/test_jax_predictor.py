"""Predictions under JAX: compiled once, whatever is frozen or opened afterwards. In a process of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
from train_helpers import REPOSITORY

FROZEN_THEN_OPENED = """
import keras, numpy as np
from keras import layers
from edgekit.train.engine_jax import JaxEngine
from edgekit.train.gradcam import last_maps, maps_model

keras.utils.set_random_seed(0)
head = [layers.GlobalAveragePooling2D(name="head_pool"), layers.Dense(3, activation="softmax")]
body = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()]
values = inputs = keras.Input((16, 16, 3))
for layer in (*body, *head):
    values = layer(values)
network = keras.Model(inputs, values)
images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype(np.uint8)
engine, rows = JaxEngine(), np.arange(8, dtype=np.int32)
on_device = engine.put(images)
predictor, maps = engine.predictor(network), engine.predictor(maps_model(network))
body[0].trainable = body[1].trainable = False
for one in (predictor, maps):
    one.compile(on_device, rows, ())
body[0].trainable = body[1].trainable = True
network.set_weights([value + 0.5 for value in network.get_weights()])
expected = network.predict(images.astype(np.float32), verbose=0)
assert np.allclose(engine.numpy(predictor(on_device, rows, ())), expected, atol=1e-5)
assert np.allclose(engine.numpy(maps(on_device, rows, ())), last_maps(network, images), rtol=1e-4)
"""

WARMED_UP = """
import jax, keras, numpy as np
from keras import layers
from edgekit.train.engine_jax import JaxEngine

network = keras.Sequential([layers.Input((4,)), layers.Dense(3), layers.Dropout(0.5)])
rows, engine = np.arange(2, dtype=np.int32), JaxEngine()
inputs, predictor = engine.put(np.ones((2, 4), np.float32)), engine.predictor(network)
before = network.get_weights()
lowered = jax.jit(predictor._predict).lower(predictor._read(), inputs, rows, ())
program = predictor._compiled(lowered, inputs, rows, ())
assert np.allclose(program(predictor._read(), inputs, rows, ()), network.predict(np.ones((2, 4)), verbose=0), atol=1e-6)
assert all(np.array_equal(one, other) for one, other in zip(before, network.get_weights(), strict=True))
"""


@pytest.mark.parametrize("script", [FROZEN_THEN_OPENED, WARMED_UP])
def test_predictions_of_a_compiled_network(script):
    """The second script does what only a GPU does: run the program once on zeros, beside training."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
