"""Which images the models are scored on: the test split of their run, or a folder that the user names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.bench.measured_model import MeasuredModel
from edgekit.data.conversions import deep_images
from edgekit.data.folder import WHOLE, scan_folder
from edgekit.data.loading import open_run_dataset
from edgekit.data.splits import stratified_choice
from edgekit.device.pixel_range import FULL
from edgekit.device.protocol.jobs import ModelEntry
from edgekit.documents.dataset_list import read_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.documents.latency import FEWEST_IMAGES
from edgekit.errors import InputError
from edgekit.support.paths import expanded
from edgekit.support.progress import Progress

SPLIT = "test"
SEED = 0
SAMPLED_SCANS = 50
"""Images of a folder that are decoded to find scans."""


ImageSetKey = tuple[str, tuple[str, ...]]
"""Root folder and files of an image set."""


@dataclass(frozen=True)
class ImageSet:
    """N images with their class: ``files`` are POSIX paths below ``root``, ``labels`` int32 (N,) into ``classes``."""

    root: Path
    files: tuple[str, ...]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]

    @property
    def key(self) -> ImageSetKey:
        """Models with the same key are scored on the same pixels, in one job."""
        return str(self.root), self.files

    def drawn(self, count: int, *seed: int) -> tuple[str, ...]:
        """``count`` of the files, drawn with replacement."""
        numbers = np.random.default_rng(seed).integers(0, len(self.files), count)
        return tuple(self.files[number] for number in numbers.tolist())


def varied_entries(models: Sequence[MeasuredModel], sets: Mapping[str, ImageSet]) -> list[ModelEntry]:
    """The entries of a job that runs each model on images drawn from its set; on noise if it has none."""
    return [
        model.job([images.root / file for file in images.drawn(FEWEST_IMAGES, SEED)] if images is not None else ())
        for model, images in ((model, sets.get(model.id)) for model in models)
    ]


def image_sets(
    models: Sequence[MeasuredModel], data: Path | None, limit: int | None, progress: Progress
) -> dict[str, ImageSet]:
    """The images of each model, by its id; a third-party model without ``data`` has none.

    ``data`` overrides the folder in which a run looks for its images. For a third-party model it is a folder with
    one folder per class, of which the test split is used if there is one. ``limit`` is the largest number of images,
    chosen stratified and seeded; 0: none at all.
    """
    if limit == 0:
        return {}
    sets: dict[str, ImageSet] = {}
    of_run: dict[Path, ImageSet] = {}
    for model in models:
        if model.run is not None:
            if model.folder not in of_run:
                of_run[model.folder] = _of_run(model, data, limit, progress)
            sets[model.id] = of_run[model.folder]
        elif data is not None:
            sets[model.id] = _of_folder(model, data, limit, progress)
    return sets


def _of_run(model: MeasuredModel, data: Path | None, limit: int | None, progress: Progress) -> ImageSet:
    assert model.run is not None
    run = RunFolder(model.folder)
    dataset = model.run.dataset
    rows = [row for row in read_dataset_csv(run.dataset) if row.split == SPLIT]
    if not rows:
        raise InputError(
            "this run has no test images", where=str(run.dataset), hint="measure without accuracy: --images 0"
        )
    if model.labels != dataset.classes:
        raise InputError(
            "the labels of the exported file differ from the classes of its run",
            where=str(model.path),
            hint=f"export it again: {run.export_command}",
        )
    opened = open_run_dataset(rows, data or dataset.root, dataset.classes, dataset.name, progress=progress)
    chosen = _chosen(opened.labels, limit)
    return ImageSet(opened.root, tuple(opened.files[i] for i in chosen), opened.labels[chosen], dataset.classes)


def _of_folder(model: MeasuredModel, data: Path, limit: int | None, progress: Progress) -> ImageSet:
    if model.labels is None:
        raise InputError(
            "this model cannot be scored: its metadata has no class names",
            where=str(model.path),
            hint="pass the class names: --labels FILE",
        )
    scan = scan_folder(expanded(data).absolute())
    for note in scan.notes:
        progress.warn(note)
    folders = scan.splits.get(SPLIT) or scan.splits.get(WHOLE)
    if folders is None:
        raise InputError("this folder has splits, but no test images", where=str(data))
    unknown = [name for name in folders if name not in model.labels]
    if unknown:
        raise InputError(
            f"{model.path.name} has no class named {', '.join(map(repr, unknown[:5]))}",
            where=str(data),
            hint=f"its classes are: {', '.join(model.labels[:10])}",
        )
    pairs = sorted((file, model.labels.index(name)) for name, files in folders.items() for file in files)
    labels = np.array([label for _, label in pairs], np.int32)
    chosen = _chosen(labels, limit)
    if model.pixel_range in (None, FULL):
        _warn_of_scans(scan.root, [pairs[i][0] for i in chosen], progress)
    return ImageSet(scan.root, tuple(pairs[i][0] for i in chosen), labels[chosen], model.labels)


def _warn_of_scans(root: Path, files: Sequence[str], progress: Progress) -> None:
    """Warn if some of the images are scans with fewer than 16 bits, which would be nearly black."""
    deep = deep_images(root, files[:: max(1, len(files) // SAMPLED_SCANS)][:SAMPLED_SCANS])
    if deep.own_range != FULL:
        progress.warn(
            f"images with more than 8 bits use 0 to {deep.peak:,}, {deep.share:.1%} of the 16-bit range, and are "
            "nearly black for this model, whose metadata does not say which range it takes; convert them to 8 bits"
        )


def _chosen(labels: NDArray[np.int32], limit: int | None) -> NDArray[np.int64]:
    return stratified_choice(labels, len(labels) if limit is None else limit, SEED)
