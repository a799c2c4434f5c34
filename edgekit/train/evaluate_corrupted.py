"""Evaluates the Keras model of a run on corrupted test images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.data.dataset import Dataset
from edgekit.data.decode import decode_dataset
from edgekit.data.loading import open_run_dataset
from edgekit.data.splits import stratified_choice
from edgekit.device.corruptions import corrupt
from edgekit.device.images import DECODER
from edgekit.documents.corruptions import KERAS, Plan, Store, severities_of
from edgekit.documents.dataset_list import read_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import RunDocument
from edgekit.errors import EdgekitError
from edgekit.support.files import sha256_file
from edgekit.support.progress import SILENT, Progress
from edgekit.train.backend import prepare_backend


class CorruptedPixels:
    """Images that are corrupted on all cores when a batch is read, for :func:`edgekit.train.batches.predict`."""

    def __init__(self, pixels: NDArray[np.uint8], name: str, severity: int, seed: int) -> None:
        self._pixels, self._name, self._severity, self._seed = pixels, name, severity, seed
        self._pool = ThreadPoolExecutor()

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        batch: NDArray[np.uint8] = self._pixels[rows]
        if self._severity == 0:
            return batch
        return np.stack(list(self._pool.map(self._corrupt, batch)))

    def _corrupt(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return corrupt(image, self._name, self._severity, self._seed)


def evaluate_keras(
    run: RunFolder, plan: Plan, *, data_root: Path | None = None, seed: int = 0, progress: Progress = SILENT
) -> None:
    """Store the predictions of ``model.keras`` for the test images under every corruption of ``plan``.

    Predictions that are already stored are not computed again. ``seed`` decides which images are used if the plan
    limits their number. ``data_root`` is the present folder of the images, if they have moved. Raises
    :class:`InputError` if the run, its model or its images are missing, and :class:`EdgekitError` if the model gives
    NaN.
    """
    document = run.read_finished_run()
    prepare_backend(document.recipe.train.device)
    from edgekit.train.batches import predict  # imports Keras, whose backend has just been chosen
    from edgekit.train.evaluate import load_network

    dataset, pixels = _test_images(run, document, data_root, progress)
    chosen = stratified_choice(dataset.labels, len(dataset) if plan.images is None else plan.images, seed)
    store = Store(run, "local", KERAS)
    store.open(
        model_sha256=sha256_file(run.model),
        seed=plan.seed,
        decoder=DECODER,
        n_samples=len(chosen),
        dataset_sha256=sha256_file(run.dataset),
    )
    missing = store.missing(plan)
    if not missing:
        progress.info("keras: all corruptions were already evaluated")
        return
    network = load_network(run)
    for name in missing:
        severities = severities_of(name, plan)
        probabilities = [
            predict(
                network,
                CorruptedPixels(pixels, name, severity, plan.seed),  # type: ignore[arg-type]
                chosen,
                progress=progress,
                description=f"keras, {name} {severity}" if severity else "keras, clean",
            )
            for severity in severities
        ]
        if not np.isfinite(probabilities).all():
            raise EdgekitError(f"the model predicts NaN under {name}", where=str(run.model))
        store.write(
            name, severities, dataset.labels[chosen], (dataset.files[i] for i in chosen), np.stack(probabilities)
        )


def _test_images(
    run: RunFolder, document: RunDocument, data_root: Path | None, progress: Progress
) -> tuple[Dataset, NDArray[np.uint8]]:
    """The test images of a run and their pixels (N, H, W, 3)."""
    about, data = document.dataset, document.recipe.data
    rows = [row for row in read_dataset_csv(run.dataset) if row.split == "test"]
    dataset = open_run_dataset(
        rows,
        data_root or about.root,
        about.classes,
        about.name,
        pixel_range=about.pixel_range,
        progress=progress,
    )
    return decode_dataset(dataset, data.image_size, data.resize, "stop", progress)
