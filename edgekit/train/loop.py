"""The training loop of one phase. It can be resumed after every epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.documents.history import EpochResult
from edgekit.errors import EdgekitError
from edgekit.recipe import Phase, Train
from edgekit.support.progress import Progress
from edgekit.train.checkpoint import (
    CallbackState,
    PhaseCheckpoint,
    PhaseState,
    live_variables,
    write_variables,
)
from edgekit.train.checkpoint_writer import CheckpointWriter
from edgekit.train.device_engine import HostSnapshot, Snapshot
from edgekit.train.first_epoch import PhaseEnd, lower_rates
from edgekit.train.fitting import Fitter
from edgekit.train.layer_groups import LayerGroups
from edgekit.train.optimizer import FusedAdam, GroupedAdam
from edgekit.train.times import Times

Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class PhaseJob:
    """The inputs of one phase.

    ``network`` holds the weights. ``fitter`` trains its model: the network, its head on stored features, or the
    network behind the augmentation layers. ``val_labels`` are (N,).
    """

    name: str
    network: keras.Model
    fitter: Fitter
    phase: Phase
    train: Train
    val_labels: NDArray[np.int32]
    start_validation: Callable[[], Callable[[], Probabilities]]
    """Starts to predict the validation images with the current weights, and returns what waits for the probabilities
    (N, classes)."""
    checkpoint: PhaseCheckpoint
    predictions: dict[str, Probabilities]
    """Receives ``val``: the probabilities of the best epoch, which do not have to be computed again."""
    history: dict[str, list[EpochResult]]
    """Receives the epochs by phase."""
    on_history: Callable[[str, list[EpochResult]], None]
    """Called after each checkpoint, in another thread."""
    times: Times
    first_epoch: int = 0
    """Number of epochs in earlier phases."""
    groups: LayerGroups | None = None
    """Layer groups with their own learning rates, if any."""
    before: PhaseEnd | None = None
    """How the previous phase ended, which the first epoch of this one must not destroy."""
    spent_seconds: float = 0.0
    """Time spent on features before the first epoch; counts towards ``train.max_seconds``."""

    @property
    def model(self) -> keras.Model:
        return self.fitter.model


def run_phase(job: PhaseJob, progress: Progress) -> PhaseState:
    """Train until the last epoch or until early stopping; the network then has its best weights.

    Resumes from the phase's checkpoint, if there is one. Raises :class:`EdgekitError` if training diverges.
    """
    live = live_variables(job.network)
    if job.checkpoint.exists():
        state, values, best_values = job.checkpoint.load(None)
    else:
        state, values, best_values = PhaseState(), [], []
    begun = HostSnapshot(values) if values or job.before is None else job.fitter.snapshot(live)
    best: Snapshot = HostSnapshot(best_values)
    with job.times.measure("compile"):
        _compile(job, state.learning_rate or job.phase.learning_rate)
    if state.epochs_run:
        job.checkpoint.load(job.model.optimizer)
        write_variables(live, values)

    def restore() -> None:
        write_variables(live, begun.arrays())

    policies = _Policies.resume(job, state)
    last = state.epochs_run if state.stopped_early else job.phase.epochs  # it may be interrupted just after stopping
    with CheckpointWriter() as writer:
        for epoch in range(state.epochs_run, last):
            if state.epochs_run and _time_is_up(job, state):
                progress.info(f"{job.name}: stopped at the time limit (train.max_seconds: {job.train.max_seconds:g})")
                break
            if epoch == 0:
                result, probabilities = _first_epoch(job, state, restore, progress)
            else:
                result, probabilities = _train_epoch(job, epoch, progress)
            policies.epoch_ended(epoch, result)
            _count(state, result, job, policies)
            with job.times.measure("checkpoint"):
                now = job.fitter.snapshot(live)
                if policies.best_epoch == epoch:
                    best = now
                    job.predictions["val"] = probabilities
                optimizer = job.fitter.snapshot(job.model.optimizer.variables)
                writer.submit(_write(job, state, now, best, optimizer))
            progress.info(_line(job, result))
            if state.stopped_early:
                patience = job.train.early_stopping.patience
                progress.info(f"{job.name}: stopped early, no improvement for {patience} epochs")
                break
        with job.times.measure("checkpoint"):
            write_variables(live, best.arrays())
            state.finished = True
            nothing = HostSnapshot([])
            writer.submit(_write(job, state, nothing, best, nothing))
            writer.flush()
    return state


def _write(job: PhaseJob, state: PhaseState, live: Snapshot, best: Snapshot, optimizer: Snapshot) -> Callable[[], None]:
    """Writes a checkpoint of the phase as it is now, and then its history."""
    text, history = state.to_json(), list(state.history)
    job.history[job.name] = history

    def write() -> None:
        job.checkpoint.save(text, live.arrays(), None if best is live else best.arrays(), optimizer.arrays())
        job.on_history(job.name, history)

    return write


def _first_epoch(
    job: PhaseJob, state: PhaseState, restore: Callable[[], None], progress: Progress
) -> tuple[EpochResult, Probabilities]:
    """Train the first epoch; again from the start at a lower learning rate if the recipe says so and it does harm."""
    rate = job.phase.learning_rate
    lower = iter(lower_rates(job.phase, job.before))
    while True:
        result, probabilities = _train_epoch(job, 0, progress)
        if job.before is None or not job.before.destroyed_by(result):
            break
        next_rate = next(lower, None)
        state.warnings.append(job.before.warning(result, job.phase, job.name, rate, next_rate))
        progress.warn(state.warnings[-1])
        if next_rate is None:
            break
        state.seconds += result.seconds
        state.images += job.fitter.n_images
        rate = state.learning_rate = next_rate
        restore()
        _compile(job, rate)
    return result, probabilities


def _count(state: PhaseState, result: EpochResult, job: PhaseJob, policies: _Policies) -> None:
    """Add an epoch to the state."""
    state.history.append(result)
    state.epochs_run = result.epoch
    state.best_epoch = policies.best_epoch
    state.seconds += result.seconds
    state.images += job.fitter.n_images
    state.early_stopping, state.reduce_lr = policies.state()
    state.stopped_early = bool(job.model.stop_training) and result.epoch < job.phase.epochs


def _time_is_up(job: PhaseJob, state: PhaseState) -> bool:
    limit = job.train.max_seconds
    return limit is not None and job.spent_seconds + state.seconds >= limit


def _compile(job: PhaseJob, learning_rate: float) -> None:
    steps = math.ceil(job.fitter.n_images / job.train.batch_size)
    warmup_steps = round(job.phase.warmup_epochs * steps)
    if job.phase.schedule == "cosine":
        learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, job.phase.epochs * steps)
    if job.groups is None:
        optimizer = FusedAdam(learning_rate, warmup_steps=warmup_steps)
    else:
        optimizer = GroupedAdam(learning_rate, job.groups.of_variables(job.model), warmup_steps=warmup_steps)
    if job.train.precision == "mixed_float16":
        # Keras itself adds this to models built under the policy, not to the head or the model that augments.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    job.model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=job.train.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    job.fitter.compiled(live_variables(job.network))


def _grouped(job: PhaseJob) -> GroupedAdam:
    optimizer = job.model.optimizer
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    assert isinstance(inner, GroupedAdam)
    return inner


_STOPPING_STATE = ("wait", "best", "best_epoch")
_REDUCING_STATE = ("wait", "best", "cooldown_counter")


@dataclass(frozen=True)
class _Policies:
    """Early stopping and the reduction of the learning rate, which Keras's own callbacks decide."""

    stopping: keras.callbacks.EarlyStopping
    reducing: keras.callbacks.ReduceLROnPlateau | None

    @classmethod
    def resume(cls, job: PhaseJob, state: PhaseState) -> _Policies:
        """The callbacks as they were when ``state`` was saved."""
        settings = job.train.early_stopping
        stopping = keras.callbacks.EarlyStopping(
            monitor=settings.monitor,
            mode="min" if settings.monitor == "val_loss" else "max",
            patience=settings.patience if settings.enabled else job.phase.epochs + 1,
        )
        reducing = None
        if job.train.reduce_lr.enabled and job.phase.schedule == "plateau":
            reducing = keras.callbacks.ReduceLROnPlateau(
                monitor="val_loss",
                mode="min",
                factor=job.train.reduce_lr.factor,
                patience=job.train.reduce_lr.patience,
                min_lr=job.train.reduce_lr.min_learning_rate,
            )
        for callback, saved in ((stopping, state.early_stopping), (reducing, state.reduce_lr)):
            if callback is not None:
                callback.set_model(job.model)
                callback.on_train_begin()
                for name, value in saved.items():
                    setattr(callback, name, value)
        return cls(stopping, reducing)

    @property
    def best_epoch(self) -> int:
        """Counted from 0."""
        return int(self.stopping.best_epoch)

    def epoch_ended(self, epoch: int, result: EpochResult) -> None:
        """Let the callbacks decide: they set the model's ``stop_training`` and its learning rate."""
        self.stopping.model.stop_training = False
        self.stopping.on_epoch_end(epoch, result.to_dict())
        if self.reducing is not None:
            self.reducing.on_epoch_end(epoch, result.to_dict())

    def state(self) -> tuple[CallbackState, CallbackState]:
        """What :meth:`resume` needs from each of them."""
        return _attributes(self.stopping, _STOPPING_STATE), _attributes(self.reducing, _REDUCING_STATE)


def _attributes(callback: keras.callbacks.Callback | None, names: tuple[str, ...]) -> CallbackState:
    values = {} if callback is None else {name: getattr(callback, name) for name in names}
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}


def _train_epoch(job: PhaseJob, epoch: int, progress: Progress) -> tuple[EpochResult, Probabilities]:
    """Train for one epoch; its result, and the probabilities (N, classes) of the validation images after it."""
    if job.groups is not None:
        _grouped(job).set_factors(job.groups.factors(epoch))
    learning_rate = float(keras.ops.convert_to_numpy(job.model.optimizer.learning_rate))
    finish = job.fitter.start(job.first_epoch + epoch, f"{job.name} {epoch + 1}/{job.phase.epochs}", progress)
    with job.times.measure("validation"):
        validation = job.start_validation()
    loss, accuracy, seconds = finish()
    with job.times.measure("validation"):
        labels, probabilities = job.val_labels, validation()
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    result = EpochResult(
        stage=job.name,
        epoch=epoch + 1,
        loss=loss,
        accuracy=accuracy,
        val_loss=float(-np.log(np.clip(of_label, 1e-7, None)).mean()),
        val_accuracy=float((probabilities.argmax(axis=1) == labels).mean()),
        learning_rate=learning_rate,
        seconds=seconds,
        images_per_second=job.fitter.n_images / seconds,
    )
    if not math.isfinite(result.loss) or not math.isfinite(result.val_loss):
        raise EdgekitError(
            f"training diverged: the loss became NaN or infinite in epoch {epoch + 1} of {job.name}",
            where=f"learning rate {job.phase.learning_rate}",
            hint="lower the learning rate, or use precision float32",
        )
    return result, probabilities


def _line(job: PhaseJob, result: EpochResult) -> str:
    return (
        f"{job.name} {result.epoch:>2}/{job.phase.epochs}  loss {result.loss:.3f} acc {result.accuracy:.3f}  "
        f"val {result.val_loss:.3f} acc {result.val_accuracy:.3f}  {result.images_per_second:.0f}/s"
    )
