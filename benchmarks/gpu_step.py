"""Times the bare training step of a network on one batch that is on the device; ``gpu_train.py`` runs it.

    KERAS_BACKEND=jax python benchmarks/gpu_step.py SETTINGS

SETTINGS is a JSON object with ``backbone``, ``strategy``, ``precision``, ``image_size``, ``batch_size`` and ``device``.
Prints a JSON document with the nanoseconds of a step in each of several blocks of steps.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

BLOCKS, BLOCK_SECONDS = 5, 1.0


def time_step(settings: dict[str, Any]) -> dict[str, Any]:
    """Compile the step and run it in a loop."""
    from edgekit.recipe.resolve import resolve_recipe
    from edgekit.train.backend import prepare_backend

    prepare_backend(settings["device"])
    import jax
    import keras
    import numpy as np

    from edgekit.data.augmentation import draw
    from edgekit.train import network as net
    from edgekit.train.augmentation_layers import training_model
    from edgekit.train.optimizer import FusedAdam

    keys = {"model.backbone": settings["backbone"], "model.weights": "none", "train.strategy": settings["strategy"]}
    recipe = resolve_recipe("brain-tumor-mri", {**keys, "data.image_size": settings["image_size"]})
    keras.config.set_dtype_policy(settings["precision"])
    network = net.build_network(recipe.model, image_size=recipe.data.image_size, classes=4, seed=0)
    keras.config.set_dtype_policy("float32")
    if settings["strategy"] == "fine-tuning":
        net.open_last_layers(network, recipe.train.fine_tuning)
    else:
        net.open_all_layers(network, recipe.train.from_scratch.batchnorm_momentum)
    model = training_model(network, recipe.train.augment).model
    loss, accuracy = keras.losses.CategoricalCrossentropy(), keras.metrics.CategoricalAccuracy()
    model.compile(optimizer=FusedAdam(1e-4), loss=loss, metrics=[accuracy])
    model.optimizer.build(model.trainable_variables)
    size, n = recipe.data.image_size, settings["batch_size"]
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (n, size, size, 3)).astype(np.uint8)
    targets = np.eye(4, dtype=np.float32)[random.integers(0, 4, n)]
    changes = draw(recipe.train.augment, n, size, 0, 0).for_step()
    data = jax.device_put(((images, *changes), targets, np.ones(n, np.float32)))
    model._symbolic_build(data_batch=data)
    lists = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
    state = tuple([v.value for v in variables] for variables in (*lists, model.metrics_variables))
    started = time.perf_counter()

    def one(state: Any, data: Any) -> tuple[Any, Any]:
        logs, state = model.train_step(state, data)
        return logs["loss"], tuple(list(values) for values in state)

    step = jax.jit(one, donate_argnums=0).lower(state, data).compile()
    compile_seconds = time.perf_counter() - started
    for _ in range(3):  # the first step builds kernels
        _, state = step(state, data)
    jax.block_until_ready(state)
    count, blocks = 3, []
    while len(blocks) < BLOCKS:
        started = time.perf_counter()
        for _ in range(count):
            _, state = step(state, data)
        jax.block_until_ready(state)
        seconds = time.perf_counter() - started
        if seconds < BLOCK_SECONDS and not blocks:
            count = max(count + 1, round(count * min(20, 1.1 * BLOCK_SECONDS / seconds)))
        else:
            blocks.append(1e9 * seconds / count)
    return {"step_ns": blocks, "steps_per_block": count, "compile_seconds": compile_seconds}


if __name__ == "__main__":
    print(json.dumps(time_step(json.loads(sys.argv[1]))))
