"""Feature extraction: the pooled features of a frozen backbone, which its head is trained on."""

from __future__ import annotations

import keras

from edgekit.support.progress import Progress
from edgekit.train.device_data import Resident, fits
from edgekit.train.outputs import (
    TRANSIENT_COPIES,
    DeviceOutputs,
    Frozen,
    Outputs,
    frozen_outputs,
    memory_mapped,
    outputs_on_device,
    outputs_on_host,
)
from edgekit.train.run_context import RunContext, Values


def head_features(context: RunContext, head: keras.Model, extractor: keras.Model, progress: Progress) -> Outputs:
    """The features of the validation images, and of the training images where they are computed once."""
    frozen, views = frozen_outputs(context, extractor, exact=False), stored_views(context)
    if isinstance(frozen, DeviceOutputs) and _fits(context, frozen, int(extractor.output.shape[-1])):
        on_device = [Resident(frozen.engine, frozen.on_device(context.train_rows, view or None)) for view in views]
        val = Resident(frozen.engine, frozen.on_device(context.val_rows))
        return outputs_on_device(context, frozen, head, val, on_device)
    on_disk = _on_disk(context, frozen, "val", 0, progress)
    return outputs_on_host(
        context, frozen, head, on_disk, [_on_disk(context, frozen, "train", view, progress) for view in views]
    )


def stored_views(context: RunContext) -> range:
    """The views of the training images that pass through the backbone once; empty if it computes them in every epoch.

    View 0 is unchanged, the others are augmented as in the epoch of that number.
    """
    train = context.recipe.train
    if train.mix.active_in("feature-extraction"):
        return range(0)  # the pixels of every batch are mixed anew
    if not train.augment.active:
        return range(1)
    return range(min(train.feature_extraction.views or 0, train.feature_extraction.epochs))


def _fits(context: RunContext, frozen: DeviceOutputs, channels: int) -> bool:
    n_train, n_val = len(context.train_rows), len(context.val_rows)
    n_features = n_val + len(stored_views(context)) * n_train + TRANSIENT_COPIES * max(n_train, n_val)
    return fits(frozen.engine, n_features * channels * 4)


def _on_disk(context: RunContext, frozen: Frozen, split: str, view: int, progress: Progress) -> Values:
    """Pooled features (N, channels) of a split, kept next to the checkpoint for a resumed run."""
    name = split if not view else f"{split}-view{view}"
    file, rows = context.checkpoints / f"features-{name}.npy", context.dataset.indices(split)
    return memory_mapped(frozen, file, rows, view or None, "float32", progress, f"features of {name}")
