"""The images of the run's dataset that an export uses: training images to calibrate, others to check."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.data.dataset import GATE, Dataset
from edgekit.data.loading import open_run_dataset
from edgekit.data.reasons import listing
from edgekit.data.splits import stratified_choice
from edgekit.device.images import ImageError, load_image
from edgekit.documents.dataset_list import read_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import RunDocument
from edgekit.errors import InputError
from edgekit.recipe import Recipe
from edgekit.render.text import plural
from edgekit.support.progress import Progress

PARITY_SEED = 0

FEW_IMAGES = 50
"""With fewer calibration images than this, a range depends on chance."""

ALIKE_LEVELS = 2.0
"""Images that differ by less than this, out of 255 levels, are nearly identical."""


@dataclass(frozen=True)
class Samples:
    """N images of one ``split`` of ``dataset``: their ``positions`` (N,) in it, and ``pixels`` uint8 (N, H, W, 3)."""

    split: str
    dataset: Dataset
    positions: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    seed: int

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, chosen: NDArray[np.int64]) -> Samples:
        """Those of the images at the places ``chosen`` (M,) among these."""
        return replace(self, positions=self.positions[chosen], pixels=self.pixels[chosen])

    @property
    def labels(self) -> NDArray[np.int32]:
        return self.dataset.labels[self.positions]

    @property
    def files(self) -> list[str]:
        return [self.dataset.files[i] for i in self.positions.tolist()]


def read_samples(
    run: RunFolder, document: RunDocument, recipe: Recipe, data_root: Path | None, progress: Progress
) -> tuple[Samples, Samples]:
    """The calibration images (training split) and the parity images (gate split, else validation split) of a run.

    Only these images are decoded, with the decoder that targets use. Raises :class:`InputError` that names ``--data``
    where the images have moved.
    """
    record = document.dataset
    dataset = open_run_dataset(
        read_dataset_csv(run.dataset),
        data_root or record.root,
        record.classes,
        record.name,
        pixel_range=record.pixel_range,
        progress=progress,
    )
    calibration = recipe.export.calibration
    return (
        draw_samples(dataset, "train", calibration.images, calibration.seed, recipe),
        draw_samples(
            dataset, GATE if GATE in dataset.splits else "val", recipe.export.parity_images, PARITY_SEED, recipe
        ),
    )


def calibration_warnings(samples: Samples) -> list[str]:
    """Reasons not to rely on a calibration with ``samples``; :class:`InputError` if they are all identical."""
    if len(samples) > 1 and (samples.pixels == samples.pixels[:1]).all():
        raise InputError(
            f"all {len(samples)} calibration images are identical, so int8 ranges would fit no other image",
            where=str(samples.dataset.root / samples.files[0]),
            hint="use more images: --set export.calibration.images=200",
        )
    warnings = []
    if len(samples) > 1 and _spread(samples.pixels) < ALIKE_LEVELS:
        warnings.append("the calibration images are nearly identical, so int8 ranges may not fit other images")
    if len(samples) < FEW_IMAGES:
        warnings.append(f"calibrated on only {plural(len(samples), 'image')}; use at least {FEW_IMAGES}")
    missing = set(range(len(samples.dataset.classes))) - set(samples.labels.tolist())
    if missing:
        names = ", ".join(samples.dataset.classes[i] for i in sorted(missing))
        warnings.append(f"no calibration image of class {names}")
    return warnings


def _spread(pixels: NDArray[np.uint8]) -> float:
    """Standard deviation of a pixel over the images, averaged over every fourth pixel, in levels of 0-255."""
    return float(pixels[:FEW_IMAGES, ::4, ::4].astype(np.float32).std(axis=0).mean())


def draw_samples(dataset: Dataset, split: str, count: int | None, seed: int, recipe: Recipe) -> Samples:
    """Up to ``count`` images of ``split`` (None: all), decoded as on a target, with every class in proportion.

    Raises :class:`InputError` if the split is empty or an image cannot be decoded.
    """
    members = dataset.indices(split)
    if not len(members):
        raise InputError(f"the run's image list has no image of the {split} split", where=str(dataset.root))
    positions = members[stratified_choice(dataset.labels[members], len(members) if count is None else count, seed)]
    pixels = _decode(dataset, positions, recipe.data.image_size, recipe.data.resize)
    return Samples(split, dataset, positions, pixels, seed)


def _decode(dataset: Dataset, positions: NDArray[np.int64], image_size: int, resize: str) -> NDArray[np.uint8]:
    paths = [dataset.root / dataset.files[i] for i in positions.tolist()]

    def load(path: Path) -> NDArray[np.uint8] | ImageError:
        try:
            return load_image(path, image_size, resize, dataset.pixel_range)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(load, paths))
    unreadable = {str(path): result.reason for path, result in zip(paths, results) if isinstance(result, ImageError)}
    if unreadable:
        raise InputError(f"some of the run's images cannot be decoded:\n{listing(unreadable)}", where=str(dataset.root))
    return np.stack([result for result in results if not isinstance(result, ImageError)])
