"""Training and prediction on the device under TensorFlow: the steps of a chunk are a loop in one graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgekit.train.device_engine import MOST_STEPS, Array, Chunk, EpochPlan, Tensor, build_metrics, host_bytes


class TensorFlowEngine:
    """See :class:`~edgekit.train.device_engine.Engine`."""

    def __init__(self) -> None:
        self._on_gpu = bool(tf.config.get_visible_devices("GPU"))
        self.most_steps = MOST_STEPS

    def free_bytes(self) -> int | None:
        if not self._on_gpu:
            return host_bytes()
        from tensorflow.python.client import device_lib

        limit = next((one.memory_limit for one in device_lib.list_local_devices() if one.device_type == "GPU"), None)
        used = tf.config.experimental.get_memory_info("GPU:0")["current"]
        return None if limit is None else int(limit) - int(used)

    def put(self, array: Array) -> Tensor:
        with tf.device("/GPU:0" if self._on_gpu else "/CPU:0"):
            return tf.constant(np.asarray(array))

    def trainer(self, model: keras.Model) -> TensorFlowTrainer:
        return TensorFlowTrainer(model)

    def predictor(self, model: keras.Model) -> TensorFlowPredictor:
        return TensorFlowPredictor(model)

    def compile_snapshot(self, variables: Sequence[keras.Variable]) -> None:
        """Nothing is compiled."""

    def snapshot(self, variables: Sequence[keras.Variable]) -> TensorFlowSnapshot:
        return TensorFlowSnapshot([tf.identity(variable.value) for variable in variables])

    def concatenate(self, parts: Sequence[Tensor], length: int, dtype: str) -> Tensor:
        return tf.concat([tf.cast(part, dtype) for part in parts], axis=0)[:length]

    def all_finite(self, tensor: Tensor) -> bool:
        return bool(tf.reduce_all(tf.math.is_finite(tensor)))

    def numpy(self, tensor: Tensor) -> Array:
        found: Array = tensor.numpy()
        return found


class TensorFlowSnapshot:
    """Copies on the device. TensorFlow copies a variable that is about to change while someone else has its value."""

    def __init__(self, values: list[Tensor]) -> None:
        self._values = values

    def arrays(self) -> list[Array]:
        return [np.array(value.numpy()) for value in self._values]


class TensorFlowTrainer:
    """Runs the ``train_step`` of Keras, which changes the variables in place."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._programs: dict[tuple[int, int], Callable[..., Tensor]] = {}

    def compile(self, inputs: Tensor, rows: Tensor, plan: EpochPlan, chunk: Chunk) -> None:
        key = (chunk.steps, chunk.batch_size)
        if key not in self._programs:
            build_metrics(self._model, inputs, plan, chunk.batch_size)
            program = tf.function(self._chunk(chunk), reduce_retracing=True)
            program.get_concrete_function(inputs, rows, plan, tf.constant(0))
            self._programs[key] = program

    def wait(self) -> None:
        """Tracing has been done; TensorFlow compiles in the first step."""

    def begin(self) -> None:
        self._model.reset_metrics()

    def run(self, inputs: Tensor, rows: Tensor, plan: EpochPlan, chunk: Chunk) -> Tensor:
        return self._programs[chunk.steps, chunk.batch_size](inputs, rows, plan, tf.constant(chunk.start))

    def end(self) -> None:
        """The variables have their values."""

    def _chunk(self, chunk: Chunk) -> Callable[..., Tensor]:
        model, steps, batch_size = self._model, chunk.steps, chunk.batch_size

        @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
        def train_step(data: Tensor) -> Tensor:
            return model.train_step(data)["loss"]

        step = tf.function(train_step, jit_compile=True) if model.jit_compile else train_step

        def run(inputs: Tensor, rows: Tensor, plan: EpochPlan, start: Tensor) -> Tensor:
            def one(number: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
                def batch(values: Tensor) -> Tensor:
                    begin = tf.one_hot(0, len(values.shape), start + number * batch_size, 0)
                    return tf.slice(values, begin, [batch_size, *values.shape[1:]])

                images = tf.gather(inputs, batch(rows))
                for_step = tuple(batch(values) for values in plan.for_step)
                x = (images, *for_step) if for_step else images
                loss = step((x, batch(plan.targets), batch(plan.weights)))
                return number + 1, tf.cast(loss, tf.float32)

            first = (tf.constant(0), tf.constant(0.0))
            if steps == 1:
                return one(*first)[1]
            return tf.while_loop(lambda number, _: number < steps, one, first, parallel_iterations=1)[1]

        return run


class TensorFlowPredictor:
    """Runs a model in inference mode, one call of a graph for each batch."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._program = tf.function(self._predict, reduce_retracing=True)

    def compile(self, inputs: Tensor, rows: Array, for_step: tuple[Array, ...]) -> None:
        self._program.get_concrete_function(*self._tensors(inputs, rows, for_step))

    def wait(self) -> None:
        """Nothing is compiled in another thread."""

    def __call__(self, inputs: Tensor, rows: Array, for_step: tuple[Array, ...]) -> Tensor:
        return self._program(*self._tensors(inputs, rows, for_step))

    @staticmethod
    def _tensors(inputs: Tensor, rows: Array, for_step: tuple[Array, ...]) -> tuple[Any, ...]:
        return inputs, tf.constant(rows), tuple(map(tf.constant, for_step))

    def _predict(self, inputs: Tensor, rows: Tensor, for_step: tuple[Tensor, ...]) -> Tensor:
        images = tf.gather(inputs, rows)
        if images.dtype == tf.float16:
            images = tf.cast(images, tf.float32)
        return tf.cast(self._model((images, *for_step) if for_step else images, training=False), tf.float32)
