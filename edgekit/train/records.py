"""What a run records about its images and its network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.data.dataset import Dataset
from edgekit.documents.run import DatasetRecord, ModelRecord, SkippedImage

if TYPE_CHECKING:
    import keras


def dataset_record(found: Dataset, used: Dataset) -> DatasetRecord:
    """The record of the images ``used``: those of ``found`` that can be decoded."""
    return DatasetRecord(
        name=used.name,
        root=str(used.root),
        fingerprint=used.fingerprint,
        classes=used.classes,
        layout=used.layout,
        n_files=len(used),
        counts=used.counts(),
        pixel_range=used.pixel_range,
        corrupt=skipped_images(found, used),
    )


def model_record(network: keras.Model) -> ModelRecord:
    """The record of a network; its file is written later."""
    from edgekit.train.macs import multiply_accumulates

    return ModelRecord(
        parameters=int(network.count_params()),
        macs=multiply_accumulates(network),
        layers=len(network.layers),
        input_shape=tuple(network.input.shape[1:]),
    )


def skipped_images(before: Dataset, after: Dataset) -> tuple[SkippedImage, ...]:
    """The images of ``before`` that ``after`` does not have, because they cannot be decoded."""
    kept = set(after.files)
    return tuple(
        SkippedImage(path=path, sha256=content)
        for path, content in zip(before.files, before.sha256)
        if path not in kept
    )
