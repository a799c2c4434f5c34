"""Training and prediction on the device under JAX: the steps of a chunk are one ``scan`` in one compiled call."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from edgekit.train.device_engine import MOST_STEPS, Array, Chunk, EpochPlan, Tensor, build_metrics, host_bytes

State = tuple[list[Tensor], ...]
Compiled = Callable[..., Any]

_COMPILERS = ThreadPoolExecutor(4, thread_name_prefix="edgekit-compile")
"""XLA releases the interpreter lock, so programs compile beside each other and beside tracing."""
_PREDICTION_COMPILER = ThreadPoolExecutor(1, thread_name_prefix="edgekit-compile")
"""Predictions have convolutions in common. One after the other, the second one finds which kernels the first chose."""
_GPU_OPTIONS = {"xla_gpu_autotune_level": 2}
"""XLA times the kernels of each convolution and takes the fastest. By default (4), it also compares the outputs of all
of them, which takes much longer than timing them; the person's own XLA_FLAGS win."""


class JaxEngine:
    """See :class:`~edgekit.train.device_engine.Engine`."""

    def __init__(self) -> None:
        self._device = jax.devices()[0]
        # XLA has no fast convolutions inside loops on a CPU; a loop of one step is none.
        self.most_steps = 1 if self._device.platform == "cpu" else MOST_STEPS
        self._copiers: dict[tuple[Any, ...], Future[Compiled]] = {}

    def free_bytes(self) -> int | None:
        found = self._device.memory_stats()
        if found is not None and "bytes_limit" in found:
            return int(found["bytes_limit"]) - int(found.get("bytes_in_use", 0))
        if self._device.platform == "cpu":
            return host_bytes()
        return None

    def put(self, array: Array) -> Tensor:
        return jax.device_put(np.asarray(array), self._device)

    def trainer(self, model: keras.Model) -> JaxTrainer:
        return JaxTrainer(model)

    def predictor(self, model: keras.Model) -> JaxPredictor:
        return JaxPredictor(model)

    def compile_snapshot(self, variables: Sequence[keras.Variable]) -> None:
        if (key := _shapes(variables)) not in self._copiers:
            copied = jax.jit(lambda values: [jnp.copy(value) for value in values])
            lowered = copied.lower([variable.value for variable in variables])
            self._copiers[key] = _start_compiling(lowered)

    def snapshot(self, variables: Sequence[keras.Variable]) -> JaxSnapshot:
        self.compile_snapshot(variables)
        copied = self._copiers[_shapes(variables)].result()
        return JaxSnapshot(copied([variable.value for variable in variables]))

    def concatenate(self, parts: Sequence[Tensor], length: int, dtype: str) -> Tensor:
        return jnp.concatenate([part.astype(dtype) for part in parts])[:length]

    def all_finite(self, tensor: Tensor) -> bool:
        return bool(jnp.isfinite(tensor).all())

    def numpy(self, tensor: Tensor) -> Array:
        return np.asarray(tensor)


class JaxSnapshot:
    """Copies that the next epoch, whose steps overwrite the variables in place, does not touch."""

    def __init__(self, values: list[Tensor]) -> None:
        self._values = values

    def arrays(self) -> list[Array]:
        for value in self._values:
            value.copy_to_host_async()
        return [np.asarray(value) for value in self._values]


class JaxTrainer:
    """Runs the ``train_step`` of Keras, which is a pure function of the values of all variables."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._programs: dict[tuple[Any, ...], Future[Compiled]] = {}
        self._state: State = ()

    def compile(self, inputs: Tensor, rows: Tensor, plan: EpochPlan, chunk: Chunk) -> None:
        key = _key(inputs, chunk)
        if key in self._programs:
            return
        build_metrics(self._model, inputs, plan, chunk.batch_size)
        step = jax.jit(self._chunk(chunk), donate_argnums=0)
        lowered = step.lower(self._read(), inputs, rows, plan, np.int32(0))
        self._programs[key] = _start_compiling(lowered)

    def wait(self) -> None:
        for program in self._programs.values():
            program.result()

    def begin(self) -> None:
        self._model.reset_metrics()
        self._state = self._read()

    def run(self, inputs: Tensor, rows: Tensor, plan: EpochPlan, chunk: Chunk) -> Tensor:
        program = self._programs[_key(inputs, chunk)].result()
        self._state, loss = program(self._state, inputs, rows, plan, np.int32(chunk.start))
        return loss

    def end(self) -> None:
        for variables, values in zip(_variables(self._model), self._state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        self._state = ()

    def _read(self) -> State:
        return tuple([variable.value for variable in variables] for variables in _variables(self._model))

    def _chunk(self, chunk: Chunk) -> Callable[..., tuple[State, Tensor]]:
        model, steps, batch_size = self._model, chunk.steps, chunk.batch_size

        def run(state: State, inputs: Tensor, rows: Tensor, plan: EpochPlan, start: Tensor) -> tuple[State, Tensor]:
            def one(state: State, step: Tensor) -> tuple[State, Tensor]:
                def batch(values: Tensor) -> Tensor:
                    return jax.lax.dynamic_slice_in_dim(values, start + step * batch_size, batch_size)

                images = inputs.at[batch(rows)].get(mode="promise_in_bounds")
                for_step = tuple(batch(values) for values in plan.for_step)
                x = (images, *for_step) if for_step else images
                logs, state = model.train_step(state, (x, batch(plan.targets), batch(plan.weights)))
                return tuple(list(values) for values in state), logs["loss"]

            state, losses = jax.lax.scan(one, state, jnp.arange(steps, dtype=jnp.int32), unroll=steps == 1)
            return state, losses[-1]

        return run


class JaxPredictor:
    """Runs a model in inference mode, one compiled call for each batch.

    A compiled program stays valid when layers are frozen or opened: it takes the values of all variables in one order.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model, self._variables = model, list(model.variables)
        self._programs: dict[tuple[Any, ...], Future[Compiled]] = {}

    def compile(self, inputs: Tensor, rows: Array, for_step: tuple[Array, ...]) -> None:
        key = (inputs.shape, inputs.dtype, len(rows))
        if key not in self._programs:
            lowered = jax.jit(self._predict).lower(self._read(), inputs, rows, for_step)
            if jax.devices()[0].platform == "gpu":
                self._programs[key] = _PREDICTION_COMPILER.submit(self._compiled, lowered, inputs, rows, for_step)
            else:
                self._programs[key] = _start_compiling(lowered)

    def _compiled(
        self, lowered: jax.stages.Lowered, inputs: Tensor, rows: Array, for_step: tuple[Array, ...]
    ) -> Compiled:
        """Compile the program and run it once: the first run builds the kernels, which takes up to 3 s.

        It runs on zeros, because a training step may overwrite the variables at the same time.
        """
        program = _compile(lowered)
        zeros = [jax.device_put(np.zeros(v.shape, v.value.dtype), jax.devices()[0]) for v in self._variables]
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # too little memory now: the real run will tell
            jax.block_until_ready(program(zeros, inputs, rows, for_step))
        return program

    def wait(self) -> None:
        for program in self._programs.values():
            program.result()

    def __call__(self, inputs: Tensor, rows: Array, for_step: tuple[Array, ...]) -> Tensor:
        self.compile(inputs, rows, for_step)
        program = self._programs[inputs.shape, inputs.dtype, len(rows)].result()
        return program(self._read(), inputs, rows, for_step)

    def _read(self) -> list[Tensor]:
        return [variable.value for variable in self._variables]

    def _predict(self, values: list[Tensor], inputs: Tensor, rows: Tensor, for_step: tuple[Tensor, ...]) -> Tensor:
        images = inputs.at[rows].get(mode="promise_in_bounds")
        if images.dtype == jnp.float16:
            images = images.astype(jnp.float32)
        x = (images, *for_step) if for_step else images
        value_of = {id(variable): value for variable, value in zip(self._variables, values, strict=True)}
        trainable = [value_of[id(variable)] for variable in self._model.trainable_variables]
        others = [value_of[id(variable)] for variable in self._model.non_trainable_variables]
        outputs, _ = self._model.stateless_call(trainable, others, x, training=False)
        return outputs.astype(jnp.float32)


def _start_compiling(lowered: jax.stages.Lowered) -> Future[Compiled]:
    return _COMPILERS.submit(_compile, lowered)


def _compile(lowered: jax.stages.Lowered) -> Compiled:
    """``lowered`` as a program for the device."""
    chosen = "xla_gpu_autotune_level" in os.environ.get("XLA_FLAGS", "")
    if jax.devices()[0].platform != "gpu" or chosen:
        return lowered.compile()  # type: ignore[no-any-return]
    try:
        return lowered.compile(compiler_options=_GPU_OPTIONS)  # type: ignore[no-any-return]
    except jax.errors.JaxRuntimeError as error:
        if "xla_gpu_autotune_level" not in str(error):
            raise
        return lowered.compile()  # type: ignore[no-any-return]  # a version of XLA without the option


def _shapes(variables: Sequence[keras.Variable]) -> tuple[Any, ...]:
    return tuple((tuple(variable.shape), str(variable.dtype)) for variable in variables)


def _variables(model: keras.Model) -> tuple[list[keras.Variable], ...]:
    """The variables in the order that ``train_step`` takes their values in."""
    optimizer = model.optimizer.variables
    return model.trainable_variables, model.non_trainable_variables, optimizer, model.metrics_variables


def _key(inputs: Tensor, chunk: Chunk) -> tuple[Any, ...]:
    return inputs.shape, inputs.dtype, chunk.steps, chunk.batch_size
