"""Scores a trained network on the validation and test splits, and draws the figures of the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgekit.data.dataset import GATE, Dataset
from edgekit.data.decode import decode_dataset
from edgekit.data.loading import open_run_dataset
from edgekit.documents.dataset_list import read_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.documents.history import read_history
from edgekit.documents.keras_predictions import KerasPredictions
from edgekit.documents.run import RunDocument, SplitMetrics, SplitName
from edgekit.errors import EdgekitError, InputError
from edgekit.stats.classification import classification_metrics
from edgekit.support.files import atomic_path, sha256_file
from edgekit.support.frameworks import collector_paused
from edgekit.support.interrupts import is_interrupt
from edgekit.support.os_errors import check_writable, first_line
from edgekit.support.progress import SILENT, Progress
from edgekit.train.backend import prepare_backend

if TYPE_CHECKING:
    import keras

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]


def import_for_evaluation() -> None:
    """Import what scoring and drawing need, which takes a second or two."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401
    import sklearn.metrics  # noqa: F401

    import edgekit.train.gradcam  # noqa: F401


def evaluate(run: RunFolder, *, data_root: Path | None = None, progress: Progress = SILENT) -> RunDocument:
    """Score the run's own ``model.keras`` again on the validation and test splits.

    Rewrites ``run.json``, ``predictions.npz`` and the figures, and returns the new document. ``data_root`` is the
    present folder of the images, if they have moved. Raises :class:`InputError` if the run, its model or its images
    are missing or have changed.
    """
    run.read_finished_run()
    check_writable(run.path)
    with run.lock():
        return _evaluate(run, data_root, progress)


def _evaluate(run: RunFolder, data_root: Path | None, progress: Progress) -> RunDocument:
    document = run.read_finished_run()
    recipe = document.recipe
    prepare_backend(recipe.train.device)
    about = document.dataset
    dataset = open_run_dataset(
        read_dataset_csv(run.dataset),
        data_root or about.root,
        about.classes,
        about.name,
        pixel_range=about.pixel_range,
        progress=progress,
    )
    dataset, pixels = decode_dataset(dataset, recipe.data.image_size, recipe.data.resize, "stop", progress)
    document = evaluate_network(document, run, load_network(run), dataset, pixels, progress)
    files = {**document.files, run.predictions.name: sha256_file(run.predictions)}
    document = document.model_copy(update={"files": files})
    document.write(run.run_json)
    return document


def load_network(run: RunFolder) -> keras.Model:
    """The Keras model of a run; raises :class:`InputError` if the file is missing or is not a Keras model."""
    import keras

    try:
        with collector_paused():
            return keras.models.load_model(run.model, compile=False)
    except Exception as error:  # Keras raises many kinds for a damaged file
        if is_interrupt(error) or isinstance(error, MemoryError):
            raise
        raise InputError(
            f"the run's model cannot be read: {first_line(error)}", where=str(run.model), hint="train the run again"
        ) from None


def evaluate_network(
    document: RunDocument,
    run: RunFolder,
    network: keras.Model,
    dataset: Dataset,
    pixels: Pixels,
    progress: Progress,
    known: Mapping[str, Probabilities] | None = None,
    feature_maps: Callable[[NDArray[np.int64]], NDArray[Any]] | None = None,
) -> RunDocument:
    """``document`` with the metrics of both splits; also writes the predictions and the figures.

    ``pixels`` are (M, H, W, 3), the images of the whole dataset. Probabilities (N, classes) of a split that are
    ``known`` already are not computed again, and ``feature_maps`` computes the last feature maps for rows of the
    images, if that is compiled already. Raises :class:`EdgekitError` if the network gives NaN.
    """
    from edgekit.train.gradcam import explain_run

    started = time.perf_counter()
    metrics: dict[SplitName, SplitMetrics] = {}
    probabilities = np.empty(0, np.float32)
    for split in ("val", "test"):
        probabilities = _probabilities(network, dataset, pixels, split, progress, known or {})
        if split == "val":
            _store(run, dataset, split, probabilities)
        try:
            found = classification_metrics(dataset.labels[dataset.indices(split)], probabilities, dataset.classes)
        except ValueError as error:
            raise EdgekitError(
                str(error), where=f"{split} split", hint="train again with a lower learning rate"
            ) from None
        metrics[split] = SplitMetrics.model_validate(found)
    _write_predictions(run, dataset, probabilities)
    if GATE in dataset.splits:
        _store(run, dataset, GATE, _probabilities(network, dataset, pixels, GATE, progress, known or {}))
    _draw(run, metrics["test"])
    if any(layer.name == "head_pool" for layer in network.layers):
        explain_run(run, network, dataset, pixels, dataset.indices("test"), probabilities, feature_maps)
    seconds = time.perf_counter() - started
    return document.model_copy(
        update={
            "metrics": metrics,
            "accuracy": metrics["test"].accuracy,
            "n_samples": metrics["test"].n_samples,
            "accuracy_ci95": metrics["test"].accuracy_ci95,
            "timing": document.timing.model_copy(update={"evaluate_seconds": seconds}),
        }
    )


def _probabilities(
    network: keras.Model,
    dataset: Dataset,
    pixels: Pixels,
    split: str,
    progress: Progress,
    known: Mapping[str, Probabilities],
) -> Probabilities:
    from edgekit.train.batches import predict

    if split in known:
        return known[split]
    return predict(network, pixels, dataset.indices(split), progress=progress, description=f"evaluate {split}")


def _write_predictions(run: RunFolder, dataset: Dataset, probabilities: Probabilities) -> None:
    """Write ``predictions.npz``: the probabilities (N, classes) of the test images."""
    rows = dataset.indices("test")
    files = np.array([dataset.files[i] for i in rows])
    with atomic_path(run.predictions) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, labels=dataset.labels[rows], probabilities=probabilities, files=files)


def _store(run: RunFolder, dataset: Dataset, split: str, probabilities: Probabilities) -> None:
    """Store the predictions for the images that exported files are compared on."""
    rows = dataset.indices(split)
    files = tuple(dataset.files[i] for i in rows.tolist())
    found = KerasPredictions(files, dataset.labels[rows], probabilities, sha256_file(run.model))
    found.write(run.predictions_of(split))


def _draw(run: RunFolder, test: SplitMetrics) -> None:
    from edgekit.train.figures import confusion_figure, curves_figure

    if history := read_history(run.history):  # an imported network has none
        curves_figure(history, run.figures / "curves.png")
    confusion_figure(test, run.figures / "confusion.png")
