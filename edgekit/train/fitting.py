"""One epoch of training: on batches that the host prepares, or on data that is on the accelerator."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import keras

from edgekit.support.frameworks import collector_paused
from edgekit.support.progress import Bar, Progress
from edgekit.train.backend import building_on_host, move_to_accelerator
from edgekit.train.batches import Batches
from edgekit.train.checkpoint import read_variables
from edgekit.train.device_data import CHUNK_BYTES, DeviceInputs
from edgekit.train.device_engine import (
    Chunk,
    Engine,
    EpochPlan,
    HostSnapshot,
    Pending,
    Snapshot,
    TrainRunner,
    chunks_of,
)
from edgekit.train.times import Times


class Fitted(NamedTuple):
    """The result of an epoch."""

    loss: float
    accuracy: float
    seconds: float


class Fitter(Protocol):
    """Trains a compiled Keras model, epoch by epoch."""

    @property
    def model(self) -> keras.Model: ...

    @property
    def n_images(self) -> int:
        """Number of training images."""

    def compiled(self, network_variables: list[keras.Variable]) -> None:
        """The model has been compiled anew: create the variables of its optimizer.

        These and ``network_variables`` are kept after epochs.
        """

    def start(self, epoch: int, description: str, progress: Progress) -> Callable[[], Fitted]:
        """Train for an epoch, counted over all phases. The device may still compute until the result is called."""

    def snapshot(self, variables: list[keras.Variable]) -> Snapshot:
        """The values of variables, which the next epoch does not change."""


@dataclass(frozen=True)
class HostFitter:
    """Keras's ``fit`` on batches that the host prepares."""

    model: keras.Model
    n_images: int
    batch_size: int
    batches: Callable[[int], Batches]
    times: Times

    def compiled(self, network_variables: list[keras.Variable]) -> None:  # noqa: ARG002
        """Variables created inside the first step would make TensorFlow trace it twice (half a minute for a ResNet)."""
        self.model.optimizer.build(self.model.trainable_variables)

    def start(self, epoch: int, description: str, progress: Progress) -> Callable[[], Fitted]:
        """Train for an epoch. The first one includes tracing, of which the profile knows only the first step."""
        batches = self.batches(epoch)
        tracing, began = self.model.train_function is None, time.perf_counter()
        with (
            self.times.measure("step"),
            ExitStack() as pause,
            progress.bar(description, self.n_images) as bar,
        ):
            if tracing:  # the first step creates objects by the hundred thousand
                pause.enter_context(collector_paused())
            shown = _ShowProgress(bar, self.n_images, self.batch_size, pause)
            fitted = self.model.fit(batches.source(), epochs=1, verbose=0, shuffle=False, callbacks=[shown])
        seconds = time.perf_counter() - began
        if tracing and shown.first_step is not None:
            self.times.move(shown.first_step, "step", "compile")
        self.times.move(min(batches.waited, self.times.seconds["step"]), "step", "input")
        found = Fitted(float(fitted.history["loss"][0]), float(fitted.history["accuracy"][0]), seconds)
        return lambda: found

    def snapshot(self, variables: list[keras.Variable]) -> Snapshot:
        return HostSnapshot(read_variables(variables))


class _ShowProgress(keras.callbacks.Callback):  # type: ignore[misc]
    async_safe = True
    """Lets Keras read the loss in another thread, so that the next step does not wait for it."""

    def __init__(self, bar: Bar, n_images: int, batch_size: int, tracing: ExitStack) -> None:
        super().__init__()
        self._tracing = tracing
        self._bar, self._n_images, self._batch_size = bar, n_images, batch_size
        self._started = time.perf_counter()
        self.first_step: float | None = None

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._tracing.close()
        if self.first_step is None:
            self.first_step = time.perf_counter() - self._started
        done = min((batch + 1) * self._batch_size, self._n_images)
        self._bar.advance(done - min(batch * self._batch_size, self._n_images))
        rate = done / (time.perf_counter() - self._started)
        self._bar.note(f"loss {(logs or {}).get('loss', float('nan')):.3f}  {rate:.0f} images/s")


class DeviceFitter:
    """Dispatches an epoch in a few chunks of steps, each of which finds its images and random numbers on the device.

    ``inputs`` are used in turn, one per epoch. ``plan`` gives what else an epoch needs, on the host; that of the next
    epoch is prepared while the device computes. ``begin_epoch`` seeds the layers that draw random numbers themselves.
    """

    def __init__(
        self,
        engine: Engine,
        model: keras.Model,
        inputs: list[DeviceInputs],
        plan: Callable[[int], EpochPlan],
        begin_epoch: Callable[[int], None],
        batch_size: int,
        first_epoch: int,
        times: Times,
    ) -> None:
        self.model = model
        self._engine, self._inputs, self._plan, self._begin_epoch = engine, inputs, plan, begin_epoch
        self._first_epoch, self._times = first_epoch, times
        self._ready: tuple[int, EpochPlan] = (first_epoch, plan(first_epoch))
        self.n_images = len(self._ready[1].rows)
        image_bytes = max(one.image_bytes for one in inputs)
        fitting = CHUNK_BYTES // (batch_size * image_bytes) if image_bytes else engine.most_steps
        self.chunks: list[Chunk] = chunks_of(self.n_images, batch_size, max(1, min(fitting, engine.most_steps)))
        self._runner: TrainRunner | None = None

    def compiled(self, network_variables: list[keras.Variable]) -> None:
        self._runner = None
        with building_on_host():
            self.model.optimizer.build(self.model.trainable_variables)
        move_to_accelerator(self.model.optimizer.variables)
        for variables in (network_variables, self.model.optimizer.variables):
            self._engine.compile_snapshot(variables)

    def start(self, epoch: int, description: str, progress: Progress) -> Callable[[], Fitted]:
        """Dispatch an epoch. Compiling its steps is not part of its time."""
        self._begin_epoch(epoch)
        inputs = self._inputs[(epoch - self._first_epoch) % len(self._inputs)]
        with self._times.measure("input"):
            host = self._ready[1] if self._ready[0] == epoch else self._plan(epoch)
        if self._runner is None:
            self._runner = self._compiled(inputs, host)
        runner = self._runner
        began = time.perf_counter()
        with self._times.measure("input"):
            plan = self._on_device(host)
            supply = inputs.of_chunks(host.rows, self.chunks)
        with ExitStack() as opened:
            shown = _Shown(opened.enter_context(progress.bar(description, self.n_images)))
            runner.begin()
            while True:
                with self._times.measure("input"):
                    chunk, tensor, rows = next(supply, (None, None, None))
                if chunk is None:
                    break
                with self._times.measure("step"):
                    shown.dispatched(chunk, runner.run(tensor, rows, plan, chunk))
            runner.end()
            with self._times.measure("step"):  # before the validation, which would otherwise count as training
                found = self.model.get_metrics_result()
            finish = opened.pop_all()
        with self._times.measure("input"):
            self._ready = (epoch + 1, self._plan(epoch + 1))

        def result() -> Fitted:
            with finish, self._times.measure("step"):
                shown.finish()
                loss, accuracy = float(found["loss"]), float(found["accuracy"])
            return Fitted(loss, accuracy, time.perf_counter() - began)

        return result

    def snapshot(self, variables: list[keras.Variable]) -> Snapshot:
        return self._engine.snapshot(variables)

    def _compiled(self, inputs: DeviceInputs, host: EpochPlan) -> TrainRunner:
        """Compile all chunks, beside each other."""
        with self._times.measure("compile"):
            runner, plan = self._engine.trainer(self.model), self._on_device(host)
            different = {chunk[1:]: chunk for chunk in self.chunks}
            for chunk, tensor, rows in inputs.of_chunks(host.rows, list(different.values())):
                runner.compile(tensor, rows, plan, chunk)
            runner.wait()
        return runner

    def _on_device(self, plan: EpochPlan) -> EpochPlan:
        put: Any = self._engine.put
        return EpochPlan(put(plan.rows), put(plan.targets), put(plan.weights), tuple(map(put, plan.for_step)))


class _Shown:
    """Shows the progress of an epoch, and lets the device run at most two chunks ahead of the host."""

    def __init__(self, bar: Bar) -> None:
        self._bar, self._waiting = bar, list[tuple[Chunk, Pending]]()
        self._done, self._started = 0, time.perf_counter()

    def dispatched(self, chunk: Chunk, loss: Pending) -> None:
        self._waiting.append((chunk, loss))
        if len(self._waiting) > 2:
            self._wait()

    def finish(self) -> None:
        while self._waiting:
            self._wait()

    def _wait(self) -> None:
        chunk, loss = self._waiting.pop(0)
        value = float(loss)
        self._done += chunk.n_images
        self._bar.advance(chunk.n_images)
        self._bar.note(f"loss {value:.3f}  {self._done / (time.perf_counter() - self._started):.0f} images/s")
