"""Fine-tuning of a tf_keras model on the run's training images, which are drawn and augmented as in its training."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.data.augmentation import apply_on_cpu, draw, epoch_order, sample_weights
from edgekit.data.dataset import Dataset
from edgekit.data.decode import decode_dataset
from edgekit.data.one_hot import OneHot
from edgekit.documents.export import CompressionEpoch
from edgekit.errors import EdgekitError
from edgekit.export.compress.checkpoint import Checkpoint
from edgekit.recipe import Clustering, Pruning, Qat, Recipe
from edgekit.support.frameworks import collector_paused
from edgekit.support.progress import Progress

Batch = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

Settings = Qat | Pruning | Clustering

FIRST_EPOCH = 100_000
"""Number of the first epoch for the random draws, so that none of them repeats a draw of the training."""

WARMUP = 0.1
"""Share of the steps in which the learning rate rises. Adam's first steps are as large as any and rest on the fewest
gradients: without a warm-up they threw VGG16, which has no BatchNorm, back to chance."""


@dataclass(frozen=True)
class TrainingImages:
    """The training images: ``rows`` (N,) of ``pixels`` uint8 (M, H, W, 3), and their ``labels`` (N,)."""

    recipe: Recipe
    pixels: NDArray[np.uint8]
    rows: NDArray[np.int64]
    labels: NDArray[np.int32]
    n_classes: int

    @classmethod
    def of(cls, dataset: Dataset, recipe: Recipe, progress: Progress) -> TrainingImages:
        """The training split of a run's dataset; images that are no longer in the cache are decoded again."""
        data = recipe.data
        dataset, pixels = decode_dataset(dataset, data.image_size, data.resize, data.on_corrupt, progress)
        rows = dataset.indices("train")
        return cls(recipe, pixels, rows, dataset.labels[rows], len(dataset.classes))

    def __len__(self) -> int:
        return len(self.rows)

    def batch_size(self, settings: Settings) -> int:
        """The batch size of ``settings``, or that of the run's training."""
        return settings.batch_size or self.recipe.train.batch_size

    def batches(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        """Images float32 (n, H, W, 3) in 0-255, targets (n, classes) and weights (n,) of one epoch, counted from 0."""
        train, number = self.recipe.train, FIRST_EPOCH + epoch
        draws = draw(train.augment, len(self), self.recipe.data.image_size, train.seed, number)
        weights = sample_weights(self.labels, self.n_classes, balanced=train.class_weights == "balanced")
        order = epoch_order(len(self), train.seed, number)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            images = self.pixels[self.rows[chosen]]
            if train.augment.active:
                images = apply_on_cpu(images, draws[chosen])
            targets = OneHot(self.labels, self.n_classes)[chosen]
            yield images.astype(np.float32), targets, weights[chosen]


@dataclass(frozen=True)
class FineTuned:
    """How a fine-tuning went. ``resumed`` counts the epochs that an earlier, interrupted command had finished."""

    settings: Settings
    """With the batch size that was used."""
    history: tuple[CompressionEpoch, ...]
    resumed: int
    layers: tuple[str, ...] | None = None
    """The layers that were pruned or clustered."""

    @property
    def steps(self) -> int:
        return sum(epoch.steps for epoch in self.history)

    @property
    def seconds(self) -> float:
        return sum(epoch.seconds for epoch in self.history)


def count_steps(images: TrainingImages, settings: Settings) -> int:
    """The number of steps that the fine-tuning will take."""
    per_epoch = math.ceil(len(images) / images.batch_size(settings))
    return min(settings.epochs * per_epoch, settings.max_steps or 2**31)


def fine_tune(
    model: Any,
    images: TrainingImages,
    settings: Settings,
    name: str,
    progress: Progress,
    checkpoint: Checkpoint,
    callbacks: Sequence[Any] = (),
) -> FineTuned:
    """Train ``model`` (tf_keras) in place.

    ``name`` is that of the recipe's section. The training resumes from ``checkpoint`` and updates it after every
    epoch. ``callbacks`` are those of TensorFlow Model Optimization. Raises :class:`EdgekitError` if the loss becomes
    NaN or infinite.
    """
    total = count_steps(images, settings)
    _compile(model, settings.learning_rate, total, images.recipe.train.label_smoothing)
    history = checkpoint.restore(model)
    resumed, done = len(history), sum(row.steps for row in history)
    if resumed:
        progress.info(f"{name}: resuming after epoch {resumed} of {settings.epochs}")
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    training = _Training(model, images, settings, name, progress, callbacks, total)
    for epoch in range(resumed, settings.epochs):
        if done == total:
            break
        row = training.run_epoch(epoch, done)
        done += row.steps
        history.append(row)
        checkpoint.save(model, history)
        left = sum(row.seconds for row in history) / done * (total - done)
        progress.info(
            f"{name} {epoch + 1}/{settings.epochs}  loss {row.loss:.3f} acc {row.accuracy:.3f}"
            + (f"  about {left:.0f} s left" if done < total else "")
        )
    used = settings.model_copy(update={"batch_size": images.batch_size(settings)})
    return FineTuned(used, tuple(history), resumed)


@dataclass(frozen=True)
class _Training:
    model: Any
    images: TrainingImages
    settings: Settings
    name: str
    progress: Progress
    callbacks: Sequence[Any]
    total: int
    """Steps of the whole training."""

    def run_epoch(self, epoch: int, done: int) -> CompressionEpoch:
        """The epoch's row of the history; ``done`` counts the steps before it."""
        started = time.perf_counter()
        batch_size = self.images.batch_size(self.settings)
        title, n_images = f"{self.name} {epoch + 1}/{self.settings.epochs}", (self.total - done) * batch_size
        losses, correct, seen, step = 0.0, 0.0, 0, done
        with self.progress.bar(title, min(len(self.images), n_images)) as bar:
            for batch in self.images.batches(epoch, batch_size):
                if step == self.total:
                    break
                loss, accuracy = self._run_step(batch, step)
                count = len(batch[0])
                losses, correct, seen = losses + loss * count, correct + accuracy * count, seen + count
                step += 1
                bar.advance(count)
                bar.note(f"loss {losses / seen:.3f}")
        for callback in self.callbacks:
            callback.on_epoch_end(epoch)
        return CompressionEpoch(
            epoch=epoch + 1,
            steps=step - done,
            loss=losses / seen,
            accuracy=correct / seen,
            seconds=time.perf_counter() - started,
        )

    def _run_step(self, batch: Batch, step: int) -> tuple[float, float]:
        """Mean loss and accuracy of the batch."""
        for callback in self.callbacks:
            callback.on_train_batch_begin(step)
        images, targets, weights = batch
        if step == 0:
            with collector_paused():
                result = self.model.train_on_batch(images, targets, weights, return_dict=True)
        else:
            result = self.model.train_on_batch(images, targets, weights, return_dict=True)
        loss = float(result["loss"])
        if not math.isfinite(loss):
            key, rate = f"export.{self.name}.learning_rate", self.settings.learning_rate
            raise EdgekitError(
                f"{self.name}: training diverged, the loss became {loss} in step {step + 1}",
                where=f"{key}: {rate:g}",
                hint=f"lower it: --set {key}={rate / 10:g}",
            )
        return loss, float(result["accuracy"])


def learning_rate(peak: float, steps: int) -> Any:
    """The tf_keras schedule that rises to ``peak`` and then falls to 0, over ``steps`` steps."""
    import tf_keras

    warmup = round(WARMUP * steps)
    return tf_keras.optimizers.schedules.CosineDecay(0.0, steps - warmup, warmup_target=peak, warmup_steps=warmup)


def _compile(model: Any, peak_rate: float, steps: int, label_smoothing: float) -> None:
    import tf_keras

    model.compile(
        optimizer=tf_keras.optimizers.legacy.Adam(learning_rate(peak_rate, steps)),  # one kernel a variable
        loss=tf_keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing),
        metrics=[tf_keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
