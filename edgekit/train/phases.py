"""The training phases of each strategy, and what each trains on (stored features, images, changed images)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.data.augmentation import draw, epoch_order, sample_weights
from edgekit.data.dataset import Dataset
from edgekit.documents.history import EpochResult
from edgekit.documents.run import PhaseRecord
from edgekit.recipe import Phase, Recipe
from edgekit.recipe.section import PhaseName
from edgekit.support.files import atomic_path
from edgekit.support.progress import Progress
from edgekit.train import network as net
from edgekit.train.augmentation_layers import TrainingModel, training_model
from edgekit.train.backend import Backend
from edgekit.train.batches import Batches, predict
from edgekit.train.checkpoint import PhaseCheckpoint, PhaseState
from edgekit.train.layer_groups import LayerGroups
from edgekit.train.loop import PhaseJob, run_phase
from edgekit.train.mix import Pairs, draw_pairs
from edgekit.train.start_from import load_start

Pixels = NDArray[np.uint8]
Values = NDArray[Any]


@dataclass(frozen=True)
class RunContext:
    """Shared by all phases of a run: the network, the images, and the folder for checkpoints."""

    recipe: Recipe
    network: keras.Model
    dataset: Dataset
    pixels: Pixels
    backend: Backend
    checkpoints: Path
    on_history: Callable[[str, list[EpochResult]], None]
    predictions: dict[str, Values] = field(default_factory=dict)
    """``val``: the probabilities of the network with its best weights, if the last phase has just computed them."""

    @property
    def train_rows(self) -> NDArray[np.int64]:
        return self.dataset.indices("train")

    @property
    def val_rows(self) -> NDArray[np.int64]:
        return self.dataset.indices("val")

    def checkpoint(self, name: PhaseName) -> PhaseCheckpoint:
        return PhaseCheckpoint(self.checkpoints / f"{name}.npz")

    def set_dropout(self, phase: Phase) -> None:
        """Use the dropout rate of ``phase``, or that of the head."""
        head = self.recipe.model.head
        net.set_dropout(self.network, head.dropout if phase.dropout is None else phase.dropout)

    def predict_val(self) -> Values:
        """Probabilities (N, classes) of the validation images with the current weights."""
        return predict(self.network, self.pixels, self.val_rows)


@dataclass(frozen=True)
class StoredFeatures:
    """Features (N, channels) that ``head`` is trained on. The ``views`` are used in turn, one per epoch."""

    head: keras.Model
    views: list[Values]


def feature_extraction(context: RunContext, progress: Progress) -> PhaseRecord:
    """Train the head on the frozen backbone.

    The backbone is computed once for images that do not change: always for the validation split, and for the training
    split if it is neither augmented nor mixed. With ``views`` it is computed once for each copy of the training split.
    """
    phase = context.recipe.train.feature_extraction
    net.freeze_backbone(context.network)
    context.set_dropout(phase)
    record = _finished(context, "feature-extraction", phase, progress) or _from_other_run(context, progress)
    if record is not None:
        return record
    head, extractor = net.head_model(context.network), net.feature_model(context.network)
    started = time.perf_counter()
    val = _features(context, extractor, "val", progress)
    stored = _stored_features(context, head, extractor, progress)
    feature_seconds = time.perf_counter() - started
    everything = np.arange(len(val))
    record = _run(
        context,
        "feature-extraction",
        phase,
        lambda: predict(head, val, everything),
        progress,
        stored=stored,
        spent_seconds=feature_seconds,
    )
    return record.model_copy(update={"feature_seconds": feature_seconds})


def fine_tuning(context: RunContext, progress: Progress) -> PhaseRecord:
    """Train the head and the last layers of the backbone."""
    phase = context.recipe.train.fine_tuning
    opened = net.open_last_layers(context.network, phase)
    groups = LayerGroups.of(opened, phase)
    context.set_dropout(phase)
    offset = context.recipe.train.feature_extraction.epochs
    record = _finished(context, "fine-tuning", phase, progress) or _run(
        context, "fine-tuning", phase, context.predict_val, progress, first_epoch=offset, groups=groups
    )
    return record.model_copy(
        update={"opened_layers": tuple(opened), "layer_groups": None if groups is None else groups.of_layer}
    )


def from_scratch(context: RunContext, progress: Progress) -> PhaseRecord:
    """Train every layer from random weights."""
    phase = context.recipe.train.from_scratch
    net.open_all_layers(context.network, phase.batchnorm_momentum)
    context.set_dropout(phase)
    return _finished(context, "from-scratch", phase, progress) or _run(
        context, "from-scratch", phase, context.predict_val, progress
    )


STRATEGY_PHASES: dict[str, tuple[Callable[[RunContext, Progress], PhaseRecord], ...]] = {
    "feature-extraction": (feature_extraction,),
    "fine-tuning": (feature_extraction, fine_tuning),
    "from-scratch": (from_scratch,),
}


def _finished(context: RunContext, name: PhaseName, phase: Phase, progress: Progress) -> PhaseRecord | None:
    """The record of a phase that was finished before an interrupt; loads its weights into the network."""
    state = context.checkpoint(name).finish(context.network)
    if state is None:
        return None
    context.on_history(name, state.history)
    progress.info(f"{name}: already finished, {state.epochs_run} epochs")
    return _record(context, name, phase, state)


def _from_other_run(context: RunContext, progress: Progress) -> PhaseRecord | None:
    """The record of the feature extraction that ``train.start_from`` names; loads its weights into the network."""
    if context.recipe.train.start_from is None:
        return None
    start = load_start(context.recipe, context.dataset, context.network)
    context.on_history("feature-extraction", start.history)
    progress.info(f"feature-extraction: taken from {context.recipe.train.start_from}")
    return start.record


def _run(
    context: RunContext,
    name: PhaseName,
    phase: Phase,
    predict_val: Callable[[], Values],
    progress: Progress,
    *,
    first_epoch: int = 0,
    stored: StoredFeatures | None = None,
    groups: LayerGroups | None = None,
    spent_seconds: float = 0.0,
) -> PhaseRecord:
    """Run the training loop of one phase on stored features, or on the images."""
    context.predictions.clear()
    feed = _Feed.of(context, name, phase, first_epoch, stored, progress)
    val_labels = context.dataset.labels[context.val_rows]
    job = PhaseJob(
        name=name,
        network=context.network,
        model=feed.model,
        phase=phase,
        train=context.recipe.train,
        batches=feed.batches,
        n_images=len(feed.rows),
        validate=lambda: (val_labels, predict_val()),
        checkpoint=context.checkpoint(name),
        predictions=context.predictions,
        on_history=context.on_history,
        first_epoch=first_epoch,
        groups=groups,
        spent_seconds=spent_seconds,
    )
    return _record(context, name, phase, run_phase(job, progress))


@dataclass(frozen=True)
class _Feed:
    """The training data of one phase: the model that is fitted, and its batches in each epoch.

    ``inputs`` are arrays (M, ...) that epochs use in turn; the N training images are at ``rows`` of each.
    """

    context: RunContext
    phase: Phase
    first_epoch: int
    model: keras.Model
    inputs: list[Values]
    rows: NDArray[np.int64]
    augmented: bool
    mixed: bool
    on_cpu: bool
    in_step: TrainingModel | None
    """The network behind its augmentation layers, if images are changed inside the training step."""
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        context: RunContext,
        name: PhaseName,
        phase: Phase,
        first_epoch: int,
        stored: StoredFeatures | None,
        progress: Progress,
    ) -> _Feed:
        train, dataset = context.recipe.train, context.dataset
        labels = dataset.labels[context.train_rows]
        augmented = stored is None and train.augment.active
        mixed = stored is None and train.mix.active_in(name)
        on_cpu = context.backend.on_cpu and not train.augment.randaugment
        in_step = (
            _model_with_changes(context, augmented, mixed, progress) if (augmented or mixed) and not on_cpu else None
        )
        if stored is not None:
            model, inputs, rows = stored.head, stored.views, np.arange(len(labels))
        else:
            model = context.network if in_step is None else in_step.model
            inputs, rows = [context.pixels], context.train_rows
        return cls(
            context=context,
            phase=phase,
            first_epoch=first_epoch,
            model=model,
            inputs=inputs,
            rows=rows,
            augmented=augmented,
            mixed=mixed,
            on_cpu=on_cpu,
            in_step=in_step,
            targets=np.eye(len(dataset.classes), dtype=np.float32)[labels],
            weights=sample_weights(labels, len(dataset.classes), balanced=train.class_weights == "balanced"),
        )

    def batches(self, epoch: int) -> Batches:
        """The batches of an epoch, counted over all phases."""
        train, image_size = self.context.recipe.train, self.context.recipe.data.image_size
        if self.in_step is not None:
            self.in_step.begin_epoch(train.seed, epoch)
        return Batches(
            inputs=self.inputs[epoch % len(self.inputs)],
            rows=self.rows,
            targets=self.targets,
            weights=self.weights,
            order=epoch_order(len(self.rows), train.seed, epoch),
            batch_size=train.batch_size,
            draws=draw(train.augment, len(self.rows), image_size, train.seed, epoch) if self.augmented else None,
            on_cpu=self.on_cpu,
            pairs=partial(self._pairs, epoch) if self.mixed else None,
        )

    def _pairs(self, epoch: int, n_images: int, batch: int) -> Pairs:
        train = self.context.recipe.train
        if epoch - self.first_epoch >= self.phase.epochs - train.mix.off_last_epochs:
            return Pairs.alone(n_images)
        return draw_pairs(train.mix, n_images, self.context.recipe.data.image_size, train.seed, epoch, batch)


def _model_with_changes(context: RunContext, augmented: bool, mixed: bool, progress: Progress) -> TrainingModel:
    """The network behind the layers that change its images inside the training step."""
    augment = context.recipe.train.augment
    if augment.randaugment and context.backend.on_cpu:
        progress.warn("randaugment computes every operation on each batch, which is slow on a CPU")
    return training_model(context.network, augment if augmented else None, mix=mixed)


def _record(context: RunContext, name: PhaseName, phase: Phase, state: PhaseState) -> PhaseRecord:
    trainable = [layer for layer in context.network.layers if layer.trainable and layer.trainable_variables]
    return PhaseRecord(
        name=name,
        epochs=phase.epochs,
        epochs_run=state.epochs_run,
        best_epoch=state.best_epoch + 1,
        stopped_early=state.stopped_early,
        seconds=state.seconds,
        images_per_second=state.images / state.seconds if state.seconds else None,
        trainable_parameters=sum(int(np.prod(v.shape)) for layer in trainable for v in layer.trainable_variables),
        trainable_layers=len(trainable),
    )


def _stored_features(
    context: RunContext, head: keras.Model, extractor: keras.Model, progress: Progress
) -> StoredFeatures | None:
    """The features of the training images, where no image needs the backbone again in every epoch."""
    train = context.recipe.train
    if train.mix.active_in("feature-extraction"):
        return None  # the pixels of every batch are mixed anew
    if not train.augment.active:
        return StoredFeatures(head, [_features(context, extractor, "train", progress)])
    if train.feature_extraction.views is None:
        return None
    views = range(min(train.feature_extraction.views, train.feature_extraction.epochs))
    return StoredFeatures(head, [_features(context, extractor, "train", progress, view) for view in views])


def _features(context: RunContext, extractor: keras.Model, split: str, progress: Progress, view: int = 0) -> Values:
    """Pooled features (N, channels) of a split, computed once and kept next to the checkpoint for a resumed run.

    ``view`` numbers a copy of the split: 0 is unchanged, the others are augmented as in the epoch of that number.
    """
    name = split if not view else f"{split}-view{view}"
    file = context.checkpoints / f"features-{name}.npy"
    if not file.is_file():
        rows = context.dataset.indices(split)
        recipe = context.recipe
        draws = None
        if view:
            draws = draw(recipe.train.augment, len(rows), recipe.data.image_size, recipe.train.seed, view)
        with atomic_path(file) as temporary:
            stored: list[np.memmap[Any, Any]] = []

            def store(shape: tuple[int, ...]) -> Values:
                stored.append(np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape))
                return stored[-1]

            predict(
                extractor,
                context.pixels,
                rows,
                draws=draws,
                progress=progress,
                description=f"features of {name}",
                store=store,
            )
            stored[-1].flush()
    features: Values = np.load(file, mmap_mode="r")
    return features
