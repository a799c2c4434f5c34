"""How good the trained network is on the images it has not seen, and the figures of it."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgekit.data.dataset import Dataset
from edgekit.data.decode import decode_dataset
from edgekit.data.loading import open_run_dataset
from edgekit.documents.base import write_json
from edgekit.documents.dataset_list import read_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.errors import EdgekitError, InputError
from edgekit.recipe import validate
from edgekit.stats.classification import classification_metrics
from edgekit.support.files import atomic_path, sha256_file
from edgekit.support.frameworks import collector_paused
from edgekit.support.progress import SILENT, Progress
from edgekit.train.backend import prepare_backend


def evaluate(run: RunFolder, *, data_root: str | None = None, progress: Progress = SILENT) -> dict[str, Any]:
    """Score the run's own ``model.keras`` again on validation and test split; returns the new ``run.json``.

    ``data_root`` is where the images are now, if they have moved. Raises :class:`InputError` where run, model or
    images are missing or changed.
    """
    document = run.read_finished()
    recipe = validate(document["recipe"], str(run.run_json))
    prepare_backend(recipe.train.device)
    about = document["dataset"]
    dataset = open_run_dataset(
        read_dataset_csv(run.dataset), data_root or about["root"], about["classes"], about["name"], progress=progress
    )
    dataset, pixels = decode_dataset(dataset, recipe.data.image_size, recipe.data.resize, "stop", progress)
    network = load_network(run)
    document = evaluate_network(document, run, network, dataset, pixels, progress)
    document["files"][run.predictions.name] = sha256_file(run.predictions)
    write_json(run.run_json, document)
    return document


def load_network(run: RunFolder) -> Any:
    """The Keras model of a run; :class:`InputError` where the file is missing or is none."""
    import keras

    try:
        with collector_paused():
            return keras.models.load_model(run.model, compile=False)
    except (ValueError, OSError, KeyError) as error:
        raise InputError(
            f"the run's model cannot be read: {error}", where=str(run.model), hint="train the run again"
        ) from None


def evaluate_network(
    document: dict[str, Any],
    run: RunFolder,
    network: Any,
    dataset: Dataset,
    pixels: Any,
    progress: Progress,
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """``document`` with metrics of validation and test split; predictions and figures are written beside it.

    ``known`` probabilities (N, classes) of a split are not computed again.
    """
    from edgekit.train.batches import predict
    from edgekit.train.gradcam import explain_run

    started = time.perf_counter()
    metrics: dict[str, Any] = {}
    for split in ("val", "test"):
        rows = dataset.indices(split)
        if known is not None and split in known:
            probabilities = known[split]
        else:
            probabilities = predict(network, pixels, rows, progress=progress, description=f"evaluate {split}")
        labels = dataset.labels[rows]
        try:
            metrics[split] = classification_metrics(labels, probabilities, dataset.classes)
        except ValueError as error:
            raise EdgekitError(str(error), where=f"{split} split", hint="train again with a lower rate") from None
    with atomic_path(run.predictions) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream, labels=labels, probabilities=probabilities, files=np.array([dataset.files[i] for i in rows])
        )
    document = {**document, "metrics": metrics}
    for key in ("accuracy", "n_samples", "accuracy_ci95"):
        document[key] = metrics["test"][key]
    document["timing"] = {**document.get("timing", {}), "evaluate_seconds": time.perf_counter() - started}
    _draw(run, metrics["test"])
    explain_run(run, network, dataset, pixels, rows, probabilities)
    return document


def _draw(run: RunFolder, test: dict[str, Any]) -> None:
    from edgekit.train.figures import confusion_figure, curves_figure

    with run.history.open(newline="", encoding="utf-8") as stream:
        history = list(csv.DictReader(stream))
    curves_figure(history, run.figures / "curves.png")
    confusion_figure(test, run.figures / "confusion.png")
