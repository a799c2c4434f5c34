"""The training data of one phase: what each epoch shows the model, in which order and with which changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.data.augmentation import draw, epoch_order, sample_weights
from edgekit.data.one_hot import OneHot
from edgekit.recipe import Phase
from edgekit.recipe.section import PhaseName
from edgekit.support.progress import Progress
from edgekit.train.augmentation_layers import TrainingModel, training_model
from edgekit.train.batches import Batches
from edgekit.train.device_data import DeviceInputs
from edgekit.train.device_engine import EpochPlan
from edgekit.train.fitting import DeviceFitter, Fitter, HostFitter
from edgekit.train.mix import Pairs, draw_pairs, mix_targets
from edgekit.train.outputs import StoredFeatures
from edgekit.train.run_context import RunContext, Values


@dataclass(frozen=True)
class Feed:
    """The training data of one phase: the model that is fitted, and its batches in each epoch.

    ``inputs`` are arrays (M, ...) that epochs use in turn; the N training images are at ``rows`` of each. On an
    accelerator, they are on the device.
    """

    context: RunContext
    phase: Phase
    first_epoch: int
    model: keras.Model
    inputs: Sequence[Values | DeviceInputs]
    rows: NDArray[np.int64]
    augmented: bool
    mixed: bool
    on_cpu: bool
    in_step: TrainingModel | None
    """The network behind its augmentation layers, if images are changed inside the training step."""
    targets: OneHot
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
    ) -> Feed:
        """The feed of a phase on stored features, or on the images."""
        train, dataset = context.recipe.train, context.dataset
        labels = dataset.labels[context.train_rows]
        augmented = stored is None and train.augment.active
        mixed = stored is None and train.mix.active_in(name)
        on_cpu = context.engine is None and context.backend.on_cpu and not train.augment.randaugment
        in_step = (
            _model_with_changes(context, augmented, mixed, progress) if (augmented or mixed) and not on_cpu else None
        )
        inputs: Sequence[Values | DeviceInputs]
        if stored is not None:
            model, inputs, rows = stored.trained, stored.views, np.arange(len(labels))
        else:
            model = context.network if in_step is None else in_step.model
            inputs = [context.pixels if context.engine is None else context.device_pixels]
            rows = context.train_rows
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
            targets=OneHot(labels, len(dataset.classes)),
            weights=sample_weights(labels, len(dataset.classes), balanced=train.class_weights == "balanced"),
        )

    def fitter(self) -> Fitter:
        """What trains the model on this feed."""
        engine, batch_size, times = self.context.engine, self.context.recipe.train.batch_size, self.context.times
        if engine is None:
            return HostFitter(self.model, len(self.rows), batch_size, self.batches, times)
        inputs = [one for one in self.inputs if not isinstance(one, np.ndarray)]
        return DeviceFitter(
            engine, self.model, inputs, self.plan, self._begin_epoch, batch_size, self.first_epoch, times
        )

    def batches(self, epoch: int) -> Batches:
        """The batches of an epoch, counted over all phases, for the host to prepare."""
        train, image_size = self.context.recipe.train, self.context.recipe.data.image_size
        self._begin_epoch(epoch)
        inputs = self.inputs[(epoch - self.first_epoch) % len(self.inputs)]
        assert isinstance(inputs, np.ndarray)
        return Batches(
            inputs=inputs,
            rows=self.rows,
            targets=self.targets,
            weights=self.weights,
            order=epoch_order(len(self.rows), train.seed, epoch),
            batch_size=train.batch_size,
            draws=draw(train.augment, len(self.rows), image_size, train.seed, epoch) if self.augmented else None,
            on_cpu=self.on_cpu,
            pairs=partial(self._pairs, epoch) if self.mixed else None,
        )

    def plan(self, epoch: int) -> EpochPlan:
        """The same epoch for the device: everything but the images."""
        train = self.context.recipe.train
        order = epoch_order(len(self.rows), train.seed, epoch)
        targets, weights = self.targets[order], self.weights[order]
        for_step: list[NDArray[np.float32] | NDArray[np.int32]] = []
        if self.augmented:
            draws = draw(train.augment, len(self.rows), self.context.recipe.data.image_size, train.seed, epoch)
            for_step += draws[order].for_step()
        if self.mixed:
            partners, plans = [], []
            for batch, start in enumerate(range(0, len(order), train.batch_size)):
                part = slice(start, start + train.batch_size)
                pairs = self._pairs(epoch, len(order[part]), batch)
                targets[part], weights[part] = mix_targets(targets[part], weights[part], pairs)
                partners.append(pairs.partner)
                plans.append(pairs.plan)
            for_step += [np.concatenate(partners), np.concatenate(plans)]
        return EpochPlan(self.rows[order].astype(np.int32), targets, weights, tuple(for_step))

    def _begin_epoch(self, epoch: int) -> None:
        if self.in_step is not None:
            self.in_step.begin_epoch(self.context.recipe.train.seed, epoch)

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
