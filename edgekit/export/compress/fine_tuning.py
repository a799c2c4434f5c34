"""A few more epochs for a tf_keras model, on the training images of the run, drawn and augmented as in its training."""

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
from edgekit.errors import EdgekitError
from edgekit.export.compress.checkpoint import Unfinished
from edgekit.recipe import CompressionTraining, Recipe
from edgekit.support.frameworks import collector_paused
from edgekit.support.progress import Progress

Batch = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

FIRST_EPOCH = 100_000
"""Number of the first epoch for the draws: none of those the training used."""

WARMUP = 0.1
"""Part of the steps in which the learning rate rises. Adam's first steps are as large as any and know least: they threw
VGG16, which has no BatchNorm, back to chance."""


@dataclass(frozen=True)
class Lessons:
    """The training images: ``rows`` (N,) of ``pixels`` uint8 (M, H, W, 3), and their ``labels`` (N,)."""

    recipe: Recipe
    pixels: NDArray[np.uint8]
    rows: NDArray[np.int64]
    labels: NDArray[np.int32]
    n_classes: int

    @classmethod
    def of(cls, dataset: Dataset, recipe: Recipe, progress: Progress) -> Lessons:
        """The training split of a run's dataset; decodes what is not in the cache any more."""
        data = recipe.data
        dataset, pixels = decode_dataset(dataset, data.image_size, data.resize, data.on_corrupt, progress)
        rows = dataset.indices("train")
        return cls(recipe, pixels, rows, dataset.labels[rows], len(dataset.classes))

    def __len__(self) -> int:
        return len(self.rows)

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
            targets = np.eye(self.n_classes, dtype=np.float32)[self.labels[chosen]]
            yield images.astype(np.float32), targets, weights[chosen]


def steps_of(lessons: Lessons, settings: CompressionTraining) -> int:
    """How many steps the training will have."""
    per_epoch = math.ceil(len(lessons) / _batch_size(lessons, settings))
    return min(settings.epochs * per_epoch, settings.max_steps or 2**31)


def fine_tune(
    model: Any,
    lessons: Lessons,
    settings: CompressionTraining,
    name: str,
    progress: Progress,
    unfinished: Unfinished,
    callbacks: Sequence[Any] = (),
) -> dict[str, Any]:
    """Train ``model`` (tf_keras) in place; the settings, loss, accuracy and seconds of every epoch.

    ``name`` is that of the recipe's section. Goes on from ``unfinished``, and keeps every epoch there; ``resumed`` is
    the number of epochs that it did not have to repeat. ``callbacks`` are those of TensorFlow Model Optimization.
    Raises :class:`EdgekitError` where the loss becomes NaN or infinite.
    """
    total = steps_of(lessons, settings)
    _compile(model, settings.learning_rate, total, lessons.recipe.train.label_smoothing)
    history = unfinished.restore(model)
    resumed, done = len(history), sum(row["steps"] for row in history)
    if resumed:
        progress.info(f"{name} goes on after epoch {resumed} of {settings.epochs}")
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(resumed, settings.epochs):
        if done == total:
            break
        started = time.perf_counter()
        row = _epoch(model, lessons, settings, epoch, (done, total), name, progress, callbacks)
        done += row["steps"]
        history.append({**row, "seconds": time.perf_counter() - started})
        unfinished.save(model, history)
        left = sum(row["seconds"] for row in history) / done * (total - done)
        progress.info(
            f"{name} {epoch + 1}/{settings.epochs}  loss {row['loss']:.3f} acc {row['accuracy']:.3f}"
            + (f"  about {left:.0f} s left" if done < total else "")
        )
    return {
        "settings": {**settings.model_dump(), "batch_size": _batch_size(lessons, settings)},
        "steps": done,
        "history": history,
        "seconds": sum(row["seconds"] for row in history),
        "resumed": resumed,
    }


def _batch_size(lessons: Lessons, settings: CompressionTraining) -> int:
    return settings.batch_size or lessons.recipe.train.batch_size


def _epoch(
    model: Any,
    lessons: Lessons,
    settings: CompressionTraining,
    epoch: int,
    steps: tuple[int, int],
    name: str,
    progress: Progress,
    callbacks: Sequence[Any],
) -> dict[str, Any]:
    """The epoch's row of the history; ``steps`` are those done before it and those of the whole training."""
    done, total = steps
    batch_size = _batch_size(lessons, settings)
    losses, right, seen, step = 0.0, 0.0, 0, done
    with progress.bar(f"{name} {epoch + 1}/{settings.epochs}", min(len(lessons), (total - done) * batch_size)) as bar:
        for batch in lessons.batches(epoch, batch_size):
            if step == total:
                break
            loss, accuracy = _step(model, batch, step, callbacks)
            if not math.isfinite(loss):
                raise EdgekitError(
                    f"{name}: training diverged, the loss became {loss} in step {step + 1}",
                    where=f"export.{name}.learning_rate: {settings.learning_rate:g}",
                    hint=f"lower it: --set export.{name}.learning_rate={settings.learning_rate / 10:g}",
                )
            n_images = len(batch[0])
            losses, right, seen = losses + loss * n_images, right + accuracy * n_images, seen + n_images
            step += 1
            bar.advance(n_images)
            bar.note(f"loss {losses / seen:.3f}")
    for callback in callbacks:
        callback.on_epoch_end(epoch)
    return {"epoch": epoch + 1, "steps": step - done, "loss": losses / seen, "accuracy": right / seen}


def learning_rate(largest: float, steps: int) -> Any:
    """The tf_keras schedule that rises to ``largest`` and falls to 0 over ``steps`` steps."""
    import tf_keras

    rising = round(WARMUP * steps)
    return tf_keras.optimizers.schedules.CosineDecay(0.0, steps - rising, warmup_target=largest, warmup_steps=rising)


def _compile(model: Any, largest_rate: float, steps: int, label_smoothing: float) -> None:
    import tf_keras

    model.compile(
        optimizer=tf_keras.optimizers.legacy.Adam(learning_rate(largest_rate, steps)),  # one kernel a variable
        loss=tf_keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing),
        metrics=[tf_keras.metrics.CategoricalAccuracy(name="accuracy")],
    )


def _step(model: Any, batch: Batch, step: int, callbacks: Sequence[Any]) -> tuple[float, float]:
    """Mean loss and accuracy of the batch."""
    for callback in callbacks:
        callback.on_train_batch_begin(step)
    images, targets, weights = batch
    if step == 0:
        with collector_paused():
            found = model.train_on_batch(images, targets, weights, return_dict=True)
    else:
        found = model.train_on_batch(images, targets, weights, return_dict=True)
    return float(found["loss"]), float(found["accuracy"])
