"""Fine-tuning on stored outputs of the frozen layers: what no step changes is computed once for each view.

The network is cut where a single tensor crosses from the frozen layers to the trained ones (:func:`cut_before`). The
images pass through the frozen part once for each view, in inference mode, and its outputs are kept in a memory map
next to the checkpoint. The trained part is a model of its own that shares its layers with the network.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import InputError
from edgekit.recipe import FineTuning, Recipe
from edgekit.support.progress import Progress
from edgekit.train import network as net
from edgekit.train.device_data import Resident, fits
from edgekit.train.outputs import (
    TRANSIENT_COPIES,
    DeviceOutputs,
    Frozen,
    OutOfRange,
    Outputs,
    frozen_outputs,
    memory_mapped,
    outputs_on_device,
    outputs_on_host,
)
from edgekit.train.run_context import RunContext, Values
from edgekit.train.stages import cut_before

USABLE_SHARE = 0.8
"""Share of the free disk space that stored outputs may take."""


@dataclass(frozen=True)
class SplitNetwork:
    """A network in two parts, which share its layers."""

    frozen: keras.Model
    """From images to the tensor at the cut."""
    trained: keras.Model
    """From the tensor at the cut to probabilities; it also has frozen layers that follow the cut."""
    last_frozen: str
    """Name of the layer at the cut."""

    @classmethod
    def of(cls, network: keras.Model, opened: list[str]) -> SplitNetwork | None:
        """The network, cut before the ``opened`` layers; ``None`` if there is nothing to compute before them."""
        cut = cut_before(network, opened)
        if cut is None:
            return None
        return cls(
            keras.Model(network.input, cut.tensor, name="frozen"),
            keras.Model(cut.tensor, network.output, name="trained"),
            network.layers[cut.position].name,
        )

    @property
    def values_per_image(self) -> int:
        return int(np.prod(self.trained.input.shape[1:]))


@dataclass(frozen=True)
class ViewStore:
    """The stored outputs of the frozen part for the validation images and for each view of the training images."""

    network: SplitNetwork
    recipe: Recipe
    rows: Mapping[str, NDArray[np.int64]]
    """The images of each split, as indices of the decoded images."""
    folder: Path
    """Where the files are: the folder of the checkpoints."""

    @property
    def phase(self) -> FineTuning:
        return self.recipe.train.fine_tuning

    @property
    def n_views(self) -> int:
        """Number of views of the training images: one if they are not augmented, and never more than epochs."""
        if not self.recipe.train.augment.active:
            return 1
        return min(self.phase.views or 1, self.phase.epochs)

    @property
    def total_bytes(self) -> int:
        """Size of all files together."""
        per_view = len(self.rows["train"]) * np.dtype(self.phase.view_storage).itemsize
        val = len(self.rows["val"]) * np.dtype(np.float32).itemsize
        return (val + self.n_views * per_view) * self.network.values_per_image

    def shortage(self) -> str | None:
        """Why the files do not fit, in words; ``None`` if they do."""
        if self.phase.max_view_gb is not None and self.total_bytes > self.phase.max_view_gb * 1e9:
            return f"but max_view_gb is {self.phase.max_view_gb:g}"
        missing = self.total_bytes - sum(file.stat().st_size for file in self.folder.glob("features-frozen-*.npy"))
        place = next(place for place in (self.folder, *self.folder.absolute().parents) if place.is_dir())
        free = shutil.disk_usage(place).free
        if missing > USABLE_SHARE * free:
            return f"but only {free / 1e9:.1f} GB are free"
        return None

    def check_space(self) -> None:
        """Raise :class:`InputError` with the choices if the files do not fit."""
        if (why := self.shortage()) is None:
            return
        raise InputError(
            f"storing the outputs of the frozen layers for {self.n_views} "
            f"{'view' if self.n_views == 1 else 'views'} takes {self.total_bytes / 1e9:.1f} GB, {why}",
            where=f"{self.folder}, train.fine_tuning.views",
            hint="free disk space, use fewer views (--set train.fine_tuning.views=1), or compute every layer in each "
            "epoch (--set train.fine_tuning.views=null)",
        )

    def outputs(self, context: RunContext, progress: Progress) -> Outputs:
        """What fine-tuning trains on: the outputs on the device if they fit there, otherwise on the disk.

        The validation images are never augmented and always stored in float32: the probabilities computed from them
        are those of the whole network, and need not be computed again. View v of the training images is augmented as
        epoch v of the phase would be: with as many views as epochs, the images are those that training without stored
        outputs sees.
        """
        trained, views = self.network.trained, range(self.n_views)
        frozen = frozen_outputs(context, self.network.frozen, exact=True)
        if isinstance(frozen, DeviceOutputs) and self.fits_on(context):
            views_on_device = [self._on_device(frozen, view, progress) for view in views]
            val = Resident(frozen.engine, frozen.on_device(self.rows["val"]))
            return outputs_on_device(context, frozen, trained, val, views_on_device)
        on_disk = [self._on_disk(frozen, view, progress) for view in (None, *views)]
        return outputs_on_host(context, frozen, trained, on_disk[0], on_disk[1:])

    def fits_on(self, context: RunContext) -> bool:
        """Whether the device has room for all outputs."""
        transient = TRANSIENT_COPIES * max(map(len, self.rows.values())) * self.network.values_per_image * 4
        return context.engine is not None and fits(context.engine, self.total_bytes + transient)

    def _on_device(self, frozen: DeviceOutputs, view: int, progress: Progress) -> Resident:
        """The outputs for a view of the training images, on the device."""
        rows, epoch = self.rows["train"], self._epoch(view)
        outputs = frozen.on_device(rows, epoch, self.phase.view_storage)
        if self.phase.view_storage == "float16" and not frozen.engine.all_finite(outputs):
            self._warn_of_range(progress)
            outputs = frozen.on_device(rows, epoch)
        return Resident(frozen.engine, outputs)

    def _on_disk(self, frozen: Frozen, view: int | None, progress: Progress) -> Values:
        """The outputs for the validation images or a view, unless an earlier start of this run has stored them."""
        split = "val" if view is None else "train"
        file = self.folder / f"features-frozen-{split if view is None else f'train-view{view}'}.npy"
        storage = "float32" if view is None else self.phase.view_storage
        augmented = view is not None and self.recipe.train.augment.active
        description = f"frozen layers of {split}" + (f", view {(view or 0) + 1}/{self.n_views}" if augmented else "")
        epoch = None if view is None else self._epoch(view)
        try:
            return memory_mapped(frozen, file, self.rows[split], epoch, storage, progress, description)
        except OutOfRange:
            self._warn_of_range(progress)
            return memory_mapped(frozen, file, self.rows[split], epoch, "float32", progress, description)

    def _epoch(self, view: int) -> int | None:
        """The epoch, counted over all phases, whose augmentation a view has."""
        return self.recipe.train.feature_extraction.epochs + view if self.recipe.train.augment.active else None

    def _warn_of_range(self, progress: Progress) -> None:
        progress.warn(
            f"outputs of layer {self.network.last_frozen} exceed the range of float16, so they are stored in "
            "float32, which takes twice the space"
        )


def view_store(context: RunContext, opened: list[str], progress: Progress) -> ViewStore | None:
    """Where fine-tuning keeps the outputs of the frozen layers; ``None`` if it computes every layer in each step.

    Raises :class:`InputError` if the recipe has ``views`` and they do not fit on the disk.
    """
    train = context.recipe.train
    asked = train.fine_tuning.views is not None
    unchanged = not train.augment.active and not train.mix.active_in("fine-tuning")
    if not asked and not (unchanged and context.engine is None and context.backend.on_cpu):
        return None
    network = SplitNetwork.of(context.network, opened)
    if network is None:
        if asked:
            progress.warn("train.fine_tuning.views has no effect: no layers stay frozen before the ones that train")
        return None
    rows = {"train": context.train_rows, "val": context.val_rows}
    store = ViewStore(network, context.recipe, rows, context.checkpoints)
    if store.fits_on(context):
        return store
    if asked:
        store.check_space()
    elif (why := store.shortage()) is not None:
        progress.info(
            f"fine-tuning computes the frozen layers in every step: storing their outputs would take "
            f"{store.total_bytes / 1e9:.1f} GB, {why}"
        )
        return None
    return store


def check_views(context: RunContext, progress: Progress) -> None:
    """Raise :class:`InputError` before training starts if fine-tuning could not store its views."""
    train = context.recipe.train
    if train.strategy == "fine-tuning" and train.fine_tuning.views is not None:
        view_store(context, net.open_last_layers(context.network, train.fine_tuning), progress)
