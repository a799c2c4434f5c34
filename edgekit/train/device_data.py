"""Images and stored outputs on the accelerator: all at once if they fit, otherwise a chunk ahead of the steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.data.augmentation import Draws
from edgekit.support.progress import SILENT, Progress
from edgekit.train.ahead import ahead
from edgekit.train.device_engine import Array, Chunk, Engine, Tensor

USABLE_SHARE = 0.5
"""Share of the free memory that data may take; the rest is for the weights and the outputs of the layers."""
CHUNK_BYTES = 256 << 20
"""Images that are copied to the device at a time if not all of them fit."""
PREDICT_BATCH = 128
"""Images that are predicted at a time, which keeps a large GPU busy."""
SMALL_PREDICT_BATCH = 32
"""The same if little memory is free."""
LITTLE_MEMORY = 12 << 30
AHEAD = 2
"""Batches of predictions that the device has to do while the host waits for one."""
_COPIERS = 4


class DeviceInputs(Protocol):
    """The inputs (M, ...) of a model, of which a step gathers its batch on the device."""

    @property
    def image_bytes(self) -> int:
        """How much of an image is copied to the device for a step."""

    def of_chunks(self, rows: NDArray[np.int32], chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, Tensor, Tensor]]:
        """For each chunk of an epoch with ``rows`` (N,): a tensor, and where in it the images (N,) are."""

    def of_rows(self, rows: NDArray[np.int32]) -> tuple[Tensor, NDArray[np.int32]]:
        """A tensor that has the given rows, and their positions in it."""


class Resident:
    """Inputs that are on the device as a whole."""

    def __init__(self, engine: Engine, tensor: Tensor) -> None:
        self._engine, self._tensor = engine, tensor

    @property
    def image_bytes(self) -> int:
        return 0

    def of_chunks(self, rows: NDArray[np.int32], chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, Tensor, Tensor]]:
        on_device = self._engine.put(rows)
        return ((chunk, self._tensor, on_device) for chunk in chunks)

    def of_rows(self, rows: NDArray[np.int32]) -> tuple[Tensor, NDArray[np.int32]]:
        return self._tensor, rows


class Streamed:
    """Inputs that do not fit on the device: other threads gather and copy the next chunk during the present one."""

    def __init__(self, engine: Engine, host: Array) -> None:
        self._engine, self._host = engine, host

    @property
    def image_bytes(self) -> int:
        return int(np.prod(self._host.shape[1:])) * self._host.dtype.itemsize

    def of_chunks(self, rows: NDArray[np.int32], chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, Tensor, Tensor]]:
        def copied(chunk: Chunk) -> tuple[Chunk, Tensor, Tensor]:
            positions = np.arange(len(rows), dtype=np.int32) - np.int32(chunk.start)
            images = self._gathered(rows[chunk.start : chunk.start + chunk.n_images])
            return chunk, self._engine.put(images), self._engine.put(positions)

        return ahead(copied, chunks)

    def of_rows(self, rows: NDArray[np.int32]) -> tuple[Tensor, NDArray[np.int32]]:
        return self._engine.put(self._gathered(rows)), np.arange(len(rows), dtype=np.int32)

    def _gathered(self, rows: NDArray[np.int32]) -> Array:
        """``host[rows]``, copied by several threads: NumPy releases the interpreter lock for each image."""
        result = np.empty((len(rows), *self._host.shape[1:]), self._host.dtype)

        def copy(part: range) -> None:
            for i in part:
                result[i] = self._host[rows[i]]

        with ThreadPoolExecutor(_COPIERS) as pool:
            list(pool.map(copy, (range(i, len(rows), _COPIERS) for i in range(_COPIERS))))
        return result


def inputs_of(engine: Engine, host: Array) -> Resident | Streamed:
    """``host`` on the device if it fits there, otherwise in chunks."""
    return Resident(engine, engine.put(host)) if fits(engine, host.nbytes) else Streamed(engine, host)


def fits(engine: Engine, n_bytes: int) -> bool:
    """Whether so much data fits on the device."""
    free = engine.free_bytes()
    return free is not None and n_bytes <= USABLE_SHARE * free


def predict_batch(engine: Engine) -> int:
    """How many images to predict at a time."""
    free = engine.free_bytes()
    return PREDICT_BATCH if free is None or free >= LITTLE_MEMORY else SMALL_PREDICT_BATCH


class DevicePredictor:
    """Predictions of a model for rows of its inputs, whose other inputs are random numbers for augmentation, if any."""

    def __init__(self, engine: Engine, model: keras.Model) -> None:
        self._engine, self._runner = engine, engine.predictor(model)
        self._batch_size = predict_batch(engine)

    def start(self, inputs: DeviceInputs, rows: NDArray[Any], draws: Draws | None = None) -> Iterator[Tensor]:
        """The outputs of one batch after another, still being computed; the last batch is padded.

        Every batch has the same size, also in a small split, so that the model is compiled once.
        """
        rows = rows.astype(np.int32)
        for start in range(0, len(rows), self._batch_size):
            yield self._runner(*self._arguments(inputs, rows, draws, start))

    def compile(self, inputs: DeviceInputs, rows: NDArray[Any], draws: Draws | None = None) -> None:
        """Start to compile for predictions like these."""
        self._runner.compile(*self._arguments(inputs, rows.astype(np.int32), draws, 0))

    def wait(self) -> None:
        """Wait until everything is compiled."""
        self._runner.wait()

    def begin(self, inputs: DeviceInputs, rows: NDArray[Any]) -> Callable[[], Array]:
        """Dispatch all predictions, and return what waits for them and gives the outputs (N, ...)."""
        if inputs.image_bytes:  # copied batch by batch, when the device has room for them
            return lambda: self.on_host(inputs, rows)
        started = list(self.start(inputs, rows))
        return lambda: np.concatenate([self._engine.numpy(values) for values in started])[: len(rows)]

    def on_device(
        self, inputs: DeviceInputs, rows: NDArray[Any], draws: Draws | None = None, dtype: str = "float32"
    ) -> Tensor:
        """All outputs (N, ...) on the device."""
        return self._engine.concatenate(list(self.start(inputs, rows, draws)), len(rows), dtype)

    def on_host(
        self,
        inputs: DeviceInputs,
        rows: NDArray[Any],
        draws: Draws | None = None,
        *,
        progress: Progress = SILENT,
        description: str = "predict",
        store: Callable[[tuple[int, ...]], Array] | None = None,
    ) -> Array:
        """All outputs (N, ...) on the host; ``store`` creates the array for them."""
        outputs: Array | None = None
        with progress.bar(description, len(rows)) as bar:
            for start, values in zip(range(0, len(rows), self._batch_size), self._fetched(inputs, rows, draws)):
                found = values[: len(rows) - start]
                if outputs is None:
                    shape = (len(rows), *found.shape[1:])
                    outputs = np.empty(shape, np.float32) if store is None else store(shape)
                outputs[start : start + len(found)] = found
                bar.advance(len(found))
        assert outputs is not None, "rows is never empty"
        return outputs

    def _fetched(self, inputs: DeviceInputs, rows: NDArray[Any], draws: Draws | None) -> Iterator[Array]:
        pending: list[Tensor] = []
        for values in self.start(inputs, rows, draws):
            pending.append(values)
            if len(pending) > AHEAD:
                yield self._engine.numpy(pending.pop(0))
        for values in pending:
            yield self._engine.numpy(values)

    def _arguments(
        self, inputs: DeviceInputs, rows: NDArray[np.int32], draws: Draws | None, start: int
    ) -> tuple[Tensor, NDArray[np.int32], tuple[Array, ...]]:
        """The arguments of the runner for the batch that begins at ``start``."""
        chosen = np.minimum(np.arange(start, start + self._batch_size), len(rows) - 1)
        tensor, positions = inputs.of_rows(rows[chosen])
        return tensor, positions, () if draws is None else tuple(draws[chosen].for_step())
