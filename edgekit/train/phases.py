"""The strategies: which stages they run, and on what (stored features, images, augmented images)."""

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
from edgekit.recipe import FineTuning, FromScratch, Recipe, Stage
from edgekit.support.files import atomic_path
from edgekit.support.progress import Progress
from edgekit.train import network as net
from edgekit.train.augment import TrainingModel, training_model
from edgekit.train.backend import Backend
from edgekit.train.batches import Batches, predict
from edgekit.train.checkpoint import StageCheckpoint, StageState
from edgekit.train.layer_groups import LayerGroups
from edgekit.train.loop import StageJob, run_stage
from edgekit.train.mix import Pairs, draw_pairs
from edgekit.train.start_from import take_over

Pixels = NDArray[np.uint8]
Values = NDArray[Any]


@dataclass(frozen=True)
class Material:
    """What every stage of a run shares: the network, the images, and where checkpoints go."""

    recipe: Recipe
    network: keras.Model
    dataset: Dataset
    pixels: Pixels
    backend: Backend
    checkpoints: Path
    on_history: Callable[[str, list[dict[str, Any]]], None]
    answers: dict[str, Values] = field(default_factory=dict)
    """``val``: what the network answers with its best weights, where the last stage has just computed it."""

    @property
    def train_rows(self) -> NDArray[np.int64]:
        return self.dataset.indices("train")

    @property
    def val_rows(self) -> NDArray[np.int64]:
        return self.dataset.indices("val")


@dataclass(frozen=True)
class Stored:
    """Features (N, channels) that the head is trained on; ``views`` are used in turn, one an epoch."""

    head: keras.Model
    views: list[Values]


def feature_extraction(material: Material, progress: Progress) -> dict[str, Any]:
    """Train the head on the frozen backbone; returns the stage's record for ``run.json``.

    The backbone is computed once for images that do not change: the validation split always, the training split
    where nothing is augmented or mixed. With ``views`` it is computed once for each copy of the training split.
    """
    recipe, network = material.recipe, material.network
    stage = recipe.train.feature_extraction
    net.freeze_backbone(network)
    _set_dropout(material, stage)
    record = _finished(material, "feature-extraction", stage, progress) or _taken_over(material, progress)
    if record is not None:
        return record
    head, extractor = net.head_model(network), net.feature_model(network)
    started = time.perf_counter()
    val = _features(material, extractor, "val", progress)
    stored = None
    if recipe.train.mix.active_in("feature-extraction"):
        pass  # every batch has pairs of its own, mixed as pixels: nothing to store
    elif not recipe.train.augment.active:
        stored = Stored(head, [_features(material, extractor, "train", progress)])
    elif stage.views is not None:
        views = range(min(stage.views, stage.epochs))
        stored = Stored(head, [_features(material, extractor, "train", progress, view) for view in views])
    feature_seconds = time.perf_counter() - started
    everything = np.arange(len(val))
    record = _run(
        material,
        "feature-extraction",
        stage,
        lambda: predict(head, val, everything),
        progress,
        stored=stored,
        spent_seconds=feature_seconds,
    )
    return {**record, "feature_seconds": feature_seconds}


def fine_tuning(material: Material, progress: Progress) -> dict[str, Any]:
    """Train the head and the backbone's last layers; returns the stage's record."""
    stage = material.recipe.train.fine_tuning
    assert isinstance(stage, FineTuning)
    opened = net.open_last_layers(material.network, stage)
    groups = LayerGroups.of(opened, stage)
    _set_dropout(material, stage)
    offset = material.recipe.train.feature_extraction.epochs
    record = _finished(material, "fine-tuning", stage, progress) or _run(
        material, "fine-tuning", stage, lambda: _predict_val(material), progress, first_epoch=offset, groups=groups
    )
    return {**record, "opened_layers": opened, "layer_groups": None if groups is None else groups.of_layer}


def from_scratch(material: Material, progress: Progress) -> dict[str, Any]:
    """Train every layer from random weights; returns the stage's record."""
    stage = material.recipe.train.from_scratch
    assert isinstance(stage, FromScratch)
    net.open_all_layers(material.network, stage.batchnorm_momentum)
    _set_dropout(material, stage)
    return _finished(material, "from-scratch", stage, progress) or _run(
        material, "from-scratch", stage, lambda: _predict_val(material), progress
    )


STRATEGY_STAGES: dict[str, tuple[Callable[[Material, Progress], dict[str, Any]], ...]] = {
    "feature-extraction": (feature_extraction,),
    "fine-tuning": (feature_extraction, fine_tuning),
    "from-scratch": (from_scratch,),
}


def _set_dropout(material: Material, stage: Stage) -> None:
    head = material.recipe.model.head
    net.set_dropout(material.network, head.dropout if stage.dropout is None else stage.dropout)


def _predict_val(material: Material) -> Values:
    return predict(material.network, material.pixels, material.val_rows)


def _checkpoint(material: Material, name: str) -> StageCheckpoint:
    return StageCheckpoint(material.checkpoints / f"{name}.npz")


def _finished(material: Material, name: str, stage: Stage, progress: Progress) -> dict[str, Any] | None:
    """The record of a stage that an earlier run of this folder finished, its weights put in place."""
    state = _checkpoint(material, name).finish(material.network)
    if state is None:
        return None
    material.on_history(name, state.history)
    progress.info(f"{name}: done before, {state.epochs_run} epochs")
    return _record(material, name, stage, state)


def _taken_over(material: Material, progress: Progress) -> dict[str, Any] | None:
    """The record of the feature extraction that ``train.start_from`` names, its weights put in place."""
    if material.recipe.train.start_from is None:
        return None
    record, history = take_over(material.recipe, material.dataset, material.network)
    material.on_history("feature-extraction", history)
    progress.info(f"feature-extraction: taken over from {material.recipe.train.start_from}")
    return record


def _run(
    material: Material,
    name: str,
    stage: Stage,
    predict_val: Callable[[], Values],
    progress: Progress,
    *,
    first_epoch: int = 0,
    stored: Stored | None = None,
    groups: LayerGroups | None = None,
    spent_seconds: float = 0.0,
) -> dict[str, Any]:
    material.answers.clear()
    train, dataset = material.recipe.train, material.dataset
    labels = dataset.labels[material.train_rows]
    augmented = stored is None and train.augment.active
    mixed = stored is None and train.mix.active_in(name)
    on_cpu = material.backend.on_cpu and not train.augment.randaugment
    in_step = _changing_model(material, augmented, mixed, progress) if (augmented or mixed) and not on_cpu else None
    if stored is not None:
        model, inputs, rows = stored.head, stored.views, np.arange(len(labels))
    else:
        model = material.network if in_step is None else in_step.model
        inputs, rows = [material.pixels], material.train_rows
    targets = np.eye(len(dataset.classes), dtype=np.float32)[labels]
    weights = sample_weights(labels, len(dataset.classes), balanced=train.class_weights == "balanced")
    val_labels = dataset.labels[material.val_rows]
    image_size = material.recipe.data.image_size

    def pairs(epoch: int, n_images: int, batch: int) -> Pairs:
        if epoch - first_epoch >= stage.epochs - train.mix.off_last_epochs:
            return Pairs.alone(n_images)
        return draw_pairs(train.mix, n_images, image_size, train.seed, epoch, batch)

    def batches(epoch: int) -> Batches:
        draws = draw(train.augment, len(rows), image_size, train.seed, epoch) if augmented else None
        order = epoch_order(len(rows), train.seed, epoch)
        images = inputs[epoch % len(inputs)]
        if in_step is not None:
            in_step.begin_epoch(train.seed, epoch)
        of_batch = partial(pairs, epoch) if mixed else None
        return Batches(images, rows, targets, weights, order, train.batch_size, draws, on_cpu, of_batch)

    job = StageJob(
        name=name,
        network=material.network,
        model=model,
        stage=stage,
        train=train,
        batches=batches,
        n_images=len(rows),
        validate=lambda: (val_labels, predict_val()),
        checkpoint=_checkpoint(material, name),
        answers=material.answers,
        on_history=material.on_history,
        first_epoch=first_epoch,
        groups=groups,
        spent_seconds=spent_seconds,
    )
    return _record(material, name, stage, run_stage(job, progress))


def _changing_model(material: Material, augmented: bool, mixed: bool, progress: Progress) -> TrainingModel:
    """The network behind what the training step does to its images."""
    augment = material.recipe.train.augment
    if augment.randaugment and material.backend.on_cpu:
        progress.warn("randaugment computes all its operations on every batch, which is slow on a CPU")
    return training_model(material.network, augment if augmented else None, mix=mixed)


def _record(material: Material, name: str, stage: Stage, state: StageState) -> dict[str, Any]:
    trainable = [layer for layer in material.network.layers if layer.trainable and layer.trainable_variables]
    return {
        "name": name,
        "epochs": stage.epochs,
        "epochs_run": state.epochs_run,
        "best_epoch": state.best_epoch + 1,
        "stopped_early": state.stopped_early,
        "seconds": state.seconds,
        "images_per_second": state.images / state.seconds if state.seconds else None,
        "trainable_parameters": sum(int(np.prod(v.shape)) for layer in trainable for v in layer.trainable_variables),
        "trainable_layers": len(trainable),
    }


def _features(material: Material, extractor: keras.Model, split: str, progress: Progress, view: int = 0) -> Values:
    """Pooled features (N, channels) of a split, computed once and kept beside the checkpoint for a resumed run.

    ``view`` numbers a copy of the split: 0 is unchanged, the others have the draws of the epoch of this number.
    """
    name = split if not view else f"{split}-view{view}"
    file = material.checkpoints / f"features-{name}.npy"
    if not file.is_file():
        rows = material.dataset.indices(split)
        recipe = material.recipe
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
                material.pixels,
                rows,
                draws=draws,
                progress=progress,
                description=f"features of {name}",
                store=store,
            )
            stored[-1].flush()
    features: Values = np.load(file, mmap_mode="r")
    return features
