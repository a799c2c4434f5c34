"""One stage of training, epoch by epoch, resumable after each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import EdgekitError
from edgekit.recipe import Stage, Train
from edgekit.support.frameworks import collector_paused
from edgekit.support.progress import Bar, Progress
from edgekit.train.batches import Batches
from edgekit.train.checkpoint import StageCheckpoint, StageState, live_variables, read_variables, write_variables
from edgekit.train.layer_groups import LayerGroups
from edgekit.train.optimizer import FusedAdam, GroupedAdam

ES_STATE = ("wait", "best", "best_epoch")
LR_STATE = ("wait", "best", "cooldown_counter")


@dataclass(frozen=True)
class StageJob:
    """Everything one stage works on.

    ``network`` holds the weights; ``model`` is what is fitted (the network, its head on stored features, or the
    network behind the augmentation layer). ``batches`` gives the epoch's data, ``validate`` the validation labels and
    probabilities with the current weights.
    """

    name: str
    network: keras.Model
    model: keras.Model
    stage: Stage
    train: Train
    batches: Callable[[int], Batches]
    n_images: int
    validate: Callable[[], tuple[NDArray[np.int32], NDArray[np.float32]]]
    checkpoint: StageCheckpoint
    answers: dict[str, NDArray[np.float32]]
    """Gets ``val``: the probabilities of the best epoch, which nobody needs to compute again."""
    on_history: Callable[[str, list[dict[str, Any]]], None]
    first_epoch: int = 0
    groups: LayerGroups | None = None
    """Where layers learn at rates of their own."""
    spent_seconds: float = 0.0
    """On features before the first epoch; counts towards ``train.max_seconds``."""


def run_stage(job: StageJob, progress: Progress) -> StageState:
    """Train until the epochs are done or early stopping ends the stage; the best weights are then in place.

    Goes on where the stage's checkpoint ends, if there is one.
    """
    live = live_variables(job.network)
    if job.checkpoint.exists():
        state, values, best = job.checkpoint.load(None)
    else:
        state, values, best = StageState(), read_variables(live), []
    _compile(job)
    if state.epochs_run:
        job.checkpoint.load(job.model.optimizer)
    write_variables(live, values)
    stopping, reducing = _policies(job, state)
    last = state.epochs_run if state.stopped_early else job.stage.epochs  # a run may end right after it stopped early
    for epoch in range(state.epochs_run, last):
        if job.groups is not None:
            _grouped(job).set_factors(job.groups.factors(epoch))
        if state.epochs_run and _time_is_up(job, state):
            progress.info(f"{job.name}: the {job.train.max_seconds:g} s of train.max_seconds are used up")
            break
        row, probabilities = _epoch(job, epoch, progress)
        if not np.isfinite([row["loss"], row["val_loss"]]).all():
            raise EdgekitError(
                f"training diverged: the loss became NaN or infinite in epoch {epoch + 1} of {job.name}",
                where=f"learning rate {job.stage.learning_rate}",
                hint="lower the learning rate, or use precision float32",
            )
        job.model.stop_training = False
        stopping.on_epoch_end(epoch, row)
        if reducing is not None:
            reducing.on_epoch_end(epoch, dict(row))
        if stopping.best_epoch == epoch:
            best = read_variables(live)
            job.answers["val"] = probabilities
        state.history.append(row)
        state.epochs_run = epoch + 1
        state.best_epoch = int(stopping.best_epoch)
        state.seconds += row["seconds"]
        state.images += job.n_images
        state.early_stopping = {name: _plain(getattr(stopping, name)) for name in ES_STATE}
        if reducing is not None:
            state.reduce_lr = {name: _plain(getattr(reducing, name)) for name in LR_STATE}
        state.stopped_early = bool(job.model.stop_training) and epoch + 1 < job.stage.epochs
        job.checkpoint.save(state, read_variables(live), best, job.model.optimizer)
        job.on_history(job.name, state.history)
        progress.info(_line(job, row))
        if state.stopped_early:
            progress.info(f"{job.name}: no better for {job.train.early_stopping.patience} epochs, stopped")
            break
    write_variables(live, best)
    state.finished = True
    job.checkpoint.save(state, best, best, None)
    return state


def _time_is_up(job: StageJob, state: StageState) -> bool:
    limit = job.train.max_seconds
    return limit is not None and job.spent_seconds + state.seconds >= limit


def _compile(job: StageJob) -> None:
    learning_rate = job.stage.learning_rate
    if job.stage.schedule == "cosine":
        steps = job.stage.epochs * math.ceil(job.n_images / job.train.batch_size)
        learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    if job.groups is None:
        optimizer = FusedAdam(learning_rate)
    else:
        optimizer = GroupedAdam(learning_rate, job.groups.of_variables(job.model))
    if job.train.precision == "mixed_float16":
        # Keras itself adds this to models built under the policy, not to the head or the model that augments.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    job.model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=job.train.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    # Variables made inside the first step would have TensorFlow trace the step twice (half a minute for a ResNet).
    job.model.optimizer.build(job.model.trainable_variables)


def _grouped(job: StageJob) -> GroupedAdam:
    optimizer = job.model.optimizer
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    assert isinstance(inner, GroupedAdam)
    return inner


def _policies(job: StageJob, state: StageState) -> tuple[Any, Any]:
    settings = job.train.early_stopping
    stopping = keras.callbacks.EarlyStopping(
        monitor=settings.monitor,
        mode="min" if settings.monitor == "val_loss" else "max",
        patience=settings.patience if settings.enabled else job.stage.epochs + 1,
    )
    reducing = None
    if job.train.reduce_lr.enabled and job.stage.schedule == "plateau":
        reducing = keras.callbacks.ReduceLROnPlateau(
            monitor="val_loss",
            mode="min",
            factor=job.train.reduce_lr.factor,
            patience=job.train.reduce_lr.patience,
            min_lr=job.train.reduce_lr.min_learning_rate,
        )
    for policy, saved in ((stopping, state.early_stopping), (reducing, state.reduce_lr)):
        if policy is not None:
            policy.set_model(job.model)
            policy.on_train_begin()
            for name, value in saved.items():
                setattr(policy, name, value)
    return stopping, reducing


def _epoch(job: StageJob, epoch: int, progress: Progress) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """The epoch's row of the history, and the probabilities (N, classes) of the validation images after it."""
    batches = job.batches(job.first_epoch + epoch)
    learning_rate = float(keras.ops.convert_to_numpy(job.model.optimizer.learning_rate))
    started = time.perf_counter()
    with ExitStack() as tracing, progress.bar(f"{job.name} {epoch + 1}/{job.stage.epochs}", job.n_images) as bar:
        if job.model.train_function is None:  # the first step is traced, which leaves objects by the hundred thousand
            tracing.enter_context(collector_paused())
        fitted = job.model.fit(
            batches.source(),
            epochs=1,
            verbose=0,
            shuffle=False,
            callbacks=[_Show(bar, job.n_images, job.train.batch_size, tracing)],
        )
    seconds = time.perf_counter() - started
    labels, probabilities = job.validate()
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    row = {
        "stage": job.name,
        "epoch": epoch + 1,
        "loss": float(fitted.history["loss"][0]),
        "accuracy": float(fitted.history["accuracy"][0]),
        "val_loss": float(-np.log(np.clip(chosen, 1e-7, None)).mean()),
        "val_accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
        "learning_rate": learning_rate,
        "seconds": seconds,
        "images_per_second": job.n_images / seconds,
    }
    return row, probabilities


class _Show(keras.callbacks.Callback):  # type: ignore[misc]
    async_safe = True
    """So that Keras reads the loss in another thread and the next step need not wait for it."""

    def __init__(self, bar: Bar, n_images: int, batch_size: int, tracing: ExitStack) -> None:
        super().__init__()
        self._tracing = tracing
        self._bar, self._n_images, self._batch_size = bar, n_images, batch_size
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._tracing.close()
        done = min((batch + 1) * self._batch_size, self._n_images)
        self._bar.advance(done - min(batch * self._batch_size, self._n_images))
        rate = done / (time.perf_counter() - self._started)
        self._bar.note(f"loss {(logs or {}).get('loss', float('nan')):.3f}  {rate:.0f} images/s")


def _line(job: StageJob, row: dict[str, Any]) -> str:
    return (
        f"{job.name} {row['epoch']:>2}/{job.stage.epochs}  loss {row['loss']:.3f} acc {row['accuracy']:.3f}  "
        f"val {row['val_loss']:.3f} acc {row['val_accuracy']:.3f}  {row['images_per_second']:.0f}/s"
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
