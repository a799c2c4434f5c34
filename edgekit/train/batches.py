"""Training batches for ``fit``, and batched prediction over decoded images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.data.augmentation import Draws, apply_on_cpu
from edgekit.data.one_hot import OneHot
from edgekit.support.progress import SILENT, Progress
from edgekit.train.ahead import ahead
from edgekit.train.mix import Pairs, mix_on_cpu, mix_targets

if TYPE_CHECKING:
    import tensorflow as tf

Array = NDArray[Any]
Batch = tuple[Array | tuple[Array, ...], Array, Array]
"""The inputs of the model, targets (N, classes) and weights (N,)."""


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """One epoch of the training split.

    ``inputs`` (M, ...) are images or features, possibly memory-mapped; the N training images are at ``rows`` (N,).
    ``targets`` (N, classes) and ``weights`` (N,) are in the order of ``rows``, and ``order`` (N,) is that of the epoch.
    With ``draws``, images are augmented; with ``pairs``, which gives the pairs for a number of images and the number
    of a batch, they are mixed. This happens here if ``on_cpu``; otherwise the training step gets the random numbers.
    """

    def __init__(
        self,
        inputs: Array,
        rows: NDArray[np.int64],
        targets: OneHot | NDArray[np.float32],
        weights: NDArray[np.float32],
        order: NDArray[np.int64],
        batch_size: int,
        draws: Draws | None,
        on_cpu: bool,
        pairs: Callable[[int, int], Pairs] | None = None,
    ) -> None:
        # With more workers, Keras reads a batch in advance under JAX and PyTorch and then starts the first epoch at
        # the second batch: some images are used twice and others not at all.
        super().__init__(workers=1)
        self._inputs, self._rows, self._targets, self._weights = inputs, rows, targets, weights
        self._order, self._batch_size = order, batch_size
        self._draws, self._pairs, self._on_cpu = draws, pairs, on_cpu
        self.waited = 0.0
        """Seconds that ``fit`` has waited for batches."""

    def __len__(self) -> int:
        return math.ceil(len(self._order) / self._batch_size)

    def __getitem__(self, index: int) -> Batch:
        started = time.perf_counter()
        batch = self._batch(index)
        self.waited += time.perf_counter() - started
        return batch

    def _batch(self, index: int) -> Batch:
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        images, targets, weights = self._inputs[self._rows[chosen]], self._targets[chosen], self._weights[chosen]
        if self._on_cpu and images.dtype == np.float16:
            images = images.astype(np.float32)  # TensorFlow reports an error where the CPU has no instructions for it
        for_step: list[Array] = []
        if self._draws is not None:
            draws = self._draws[chosen]
            if self._on_cpu:
                images = apply_on_cpu(images, draws)
            else:
                for_step += draws.for_step()
        if self._pairs is not None:
            pairs = self._pairs(len(chosen), index)
            targets, weights = mix_targets(targets, weights, pairs)
            if self._on_cpu:
                images = mix_on_cpu(images, pairs)
            else:
                for_step += [pairs.partner, pairs.plan]
        return (images, *for_step) if for_step else images, targets, weights

    def source(self) -> Batches | tf.data.Dataset:
        """What ``fit`` reads: these batches, each prepared during the previous step.

        Under TensorFlow, this is a ``tf.data`` pipeline without the autotuner that Keras would leave on. With it, an
        epoch ends only when the autotuner wakes up, 10, 20 or 41 s after the start (TensorFlow 2.21), which can double
        the time.
        """
        if keras.backend.backend() != "tensorflow":
            return self
        import tensorflow as tf

        spec = keras.tree.map_structure(
            lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), self._batch(0)
        )
        options = tf.data.Options()
        options.autotune.enabled = False
        batches = tf.data.Dataset.from_generator(self._ahead, output_signature=spec)
        return batches.apply(tf.data.experimental.assert_cardinality(len(self))).with_options(options)

    def _ahead(self) -> Iterator[Batch]:
        """All batches, each prepared in another thread during the step before it."""
        batches = ahead(self._batch, range(len(self)))
        for _ in range(len(self)):
            started = time.perf_counter()
            batch: Batch = next(batches)
            self.waited += time.perf_counter() - started
            yield batch


class Predicts(Protocol):
    """A Keras model, or what takes its place."""

    def predict_on_batch(self, batch: Array, /) -> Array:
        """Outputs (N, ...) for a batch (N, ...)."""


def predict(
    model: Predicts,
    inputs: Array,
    rows: NDArray[np.int64],
    *,
    batch_size: int = 32,
    draws: Draws | None = None,
    progress: Progress = SILENT,
    description: str = "predict",
    store: Callable[[tuple[int, ...]], Array] | None = None,
) -> Array:
    """The outputs (N, ...) of ``model`` for ``inputs[rows]``, in float32.

    With ``draws`` (N,), the images are augmented first. The last batch is padded, so that the model is traced for only
    one shape. ``store`` creates the array for the outputs from its shape (a memory map, for example); by default the
    array is in memory.
    """
    outputs: Array | None = None
    batch_size = min(batch_size, len(rows))
    with progress.bar(description, len(rows)) as bar:
        for start in range(0, len(rows), batch_size):
            chosen = rows[start : start + batch_size]
            batch = inputs[chosen]
            if batch.dtype == np.float16:
                batch = batch.astype(np.float32)
            if draws is not None:
                batch = apply_on_cpu(batch, draws[np.arange(start, start + len(chosen))])
            if len(chosen) < batch_size:
                batch = np.concatenate([batch, np.repeat(batch[-1:], batch_size - len(chosen), axis=0)])
            values = np.asarray(model.predict_on_batch(batch))[: len(chosen)]
            if outputs is None:
                shape = (len(rows), *values.shape[1:])
                outputs = np.empty(shape, np.float32) if store is None else store(shape)
            outputs[start : start + len(chosen)] = values
            bar.advance(len(chosen))
    assert outputs is not None, "rows is never empty: opening a dataset fails if a split has no images"
    return outputs
