"""Training and prediction on data that is already on the accelerator: what each Keras backend has to provide.

An epoch is dispatched in chunks of many steps. The host sends the random numbers of the epoch once, and each step
gathers, augments and mixes its own batch on the device.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

import keras
from numpy.typing import NDArray

from edgekit.train.backend import Backend

Array = NDArray[Any]
Tensor = Any
"""A tensor of the backend."""

MOST_STEPS = 100
"""Steps that a GPU is given at a time at most, so that progress is shown and an interrupt works."""


class EpochPlan(NamedTuple):
    """Everything that one epoch needs besides the images, in the order of the epoch.

    ``rows`` (N,) int32 are positions in the inputs, ``targets`` (N, classes), ``weights`` (N,). ``for_step`` are the
    other inputs of the model, each (N, ...): the random numbers for augmentation and mixing.
    """

    rows: Any
    targets: Any
    weights: Any
    for_step: tuple[Any, ...]


class Chunk(NamedTuple):
    """Consecutive steps of an epoch that are dispatched together."""

    start: int
    """Position of the first image in the epoch."""
    steps: int
    batch_size: int

    @property
    def n_images(self) -> int:
        return self.steps * self.batch_size


def chunks_of(n_images: int, batch_size: int, most_steps: int) -> list[Chunk]:
    """An epoch as chunks of at most ``most_steps`` steps; a last batch that is smaller is a chunk of its own.

    Each number of steps is compiled once, so the chunks are of one length where possible and never of more than two.
    """
    full, rest = divmod(n_images, batch_size)
    count = math.ceil(full / max(1, most_steps))
    count = next((c for c in range(count, min(2 * count, full) + 1) if c and full % c == 0), count)
    steps, left = divmod(full, count) if count else (0, 0)
    lengths = [steps] * count + ([left] if left else [])
    chunks, start = [], 0
    for length in lengths:
        chunks.append(Chunk(start, length, batch_size))
        start += length * batch_size
    return [*chunks, Chunk(start, 1, rest)] if rest else chunks


class Pending(Protocol):
    """A number that the device is still computing."""

    def __float__(self) -> float: ...


class TrainRunner(Protocol):
    """Runs the training steps of a compiled Keras model."""

    def compile(self, inputs: Tensor, rows: Tensor, plan: EpochPlan, chunk: Chunk) -> None:
        """Start to compile the chunk, unless one like it has been compiled."""

    def wait(self) -> None:
        """Wait until everything is compiled."""

    def begin(self) -> None:
        """Begin an epoch with the present values of the model's variables."""

    def run(self, inputs: Tensor, rows: Tensor, plan: EpochPlan, chunk: Chunk) -> Pending:
        """Dispatch the steps of a chunk; returns the mean loss of the epoch after it."""

    def end(self) -> None:
        """End the epoch: the model's variables have their new values."""


class PredictRunner(Protocol):
    """Runs a Keras model in inference mode."""

    def compile(self, inputs: Tensor, rows: Array, for_step: tuple[Array, ...]) -> None:
        """Start to compile the prediction, unless one like it has been compiled."""

    def wait(self) -> None:
        """Wait until everything is compiled."""

    def __call__(self, inputs: Tensor, rows: Array, for_step: tuple[Array, ...]) -> Tensor:
        """Dispatch the prediction for ``inputs[rows]`` and the model's other inputs; its outputs (N, ...)."""


class Snapshot(Protocol):
    """The values of some variables at one moment."""

    def arrays(self) -> list[Array]:
        """The values; may be called by another thread."""


class Engine(Protocol):
    """Where tensors live and how steps run, for one Keras backend."""

    most_steps: int
    """Steps that are dispatched together at most."""

    def free_bytes(self) -> int | None:
        """Memory that is free for data; ``None`` if that is unknown."""

    def put(self, array: Array) -> Tensor:
        """Copy an array to the device. The call may return before it is done."""

    def trainer(self, model: keras.Model) -> TrainRunner: ...

    def predictor(self, model: keras.Model) -> PredictRunner: ...

    def compile_snapshot(self, variables: Sequence[keras.Variable]) -> None:
        """Start to compile :meth:`snapshot` for these variables."""

    def snapshot(self, variables: Sequence[keras.Variable]) -> Snapshot:
        """Copy the values on the device, without waiting for them."""

    def concatenate(self, parts: Sequence[Tensor], length: int, dtype: str) -> Tensor:
        """The first ``length`` rows of all parts together, as ``dtype``, on the device."""

    def all_finite(self, tensor: Tensor) -> bool:
        """Whether no value is infinite or NaN."""

    def numpy(self, tensor: Tensor) -> Array:
        """Wait for a tensor and copy it to the host."""


class HostSnapshot:
    """Values that are on the host already."""

    def __init__(self, arrays: list[Array]) -> None:
        self._arrays = arrays

    def arrays(self) -> list[Array]:
        return self._arrays


_ENGINES = {"jax": "JaxEngine", "tensorflow": "TensorFlowEngine", "torch": "TorchEngine"}


def engine_of(backend: Backend, batches: str) -> Engine | None:
    """The engine of the backend; ``None`` if the host prepares the batches, as ``train.batches`` says."""
    if batches == "host" or (batches == "auto" and backend.on_cpu):
        return None
    made: Callable[[], Engine] = getattr(import_module(f"edgekit.train.engine_{backend.name}"), _ENGINES[backend.name])
    return made()


def build_metrics(model: keras.Model, inputs: Tensor, plan: EpochPlan, batch_size: int) -> None:
    """Create the variables of the metrics, as the first call of ``fit`` would."""

    def one(values: Tensor) -> keras.KerasTensor:
        dtype = keras.backend.standardize_dtype(values.dtype)
        return keras.KerasTensor((batch_size, *values.shape[1:]), dtype)

    for_step = tuple(map(one, plan.for_step))
    x = (one(inputs), *for_step) if for_step else one(inputs)
    model._symbolic_build(data_batch=(x, one(plan.targets), one(plan.weights)))


def host_bytes() -> int:
    """Memory of the host that is free."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
