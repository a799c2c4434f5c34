"""The test split as a deployed model sees it, for the drift check on the device."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from edgekit.bench.evaluation_images import image_sets
from edgekit.bench.inspection import with_installed_runtime
from edgekit.bench.measured_model import MeasuredModel
from edgekit.device.classifier import Classifier
from edgekit.device.failures import DeviceError
from edgekit.device.jobs import read_job
from edgekit.device.picture_statistics import CONFIDENCE, comparable, picture_features
from edgekit.documents.drift_reference import DriftReference
from edgekit.errors import InputError
from edgekit.support.files import sha256_file
from edgekit.support.progress import Progress
from edgekit.support.quiet import quiet_native_output

MOST_IMAGES = 400
FEWEST_IMAGES = 50
"""Below this, the test split says too little about its own distribution."""


def drift_reference(model: MeasuredModel, data: Path | None, progress: Progress) -> DriftReference | None:
    """Classify up to 400 test images on this machine with the device's decoder, and describe images and predictions.

    ``data`` overrides where the images are. None, with a message, where they are not available: a model can be
    deployed without them. Raises :class:`InputError` if ``data`` was given and cannot be used.
    """
    if model.run is None and data is None:
        progress.info("no drift check on the device: pass the test images with --data DIR to add it")
        return None
    try:
        images = image_sets([model], data, MOST_IMAGES, progress)[model.id]
    except InputError as error:
        if data is not None:
            raise
        progress.warn(f"no drift check on the device: {error.problem} (pass the images with --data DIR)")
        return None
    if len(images.files) < FEWEST_IMAGES:
        progress.warn(f"no drift check on the device: it needs {FEWEST_IMAGES} test images, not {len(images.files)}")
        return None
    try:
        return _described(model, [str(images.root / file) for file in images.files], len(images.classes), progress)
    except DeviceError as error:
        raise InputError(
            f"the statistics of the test split cannot be computed: {error.reason}", where=error.where
        ) from None


def _described(model: MeasuredModel, files: list[str], n_classes: int, progress: Progress) -> DriftReference:
    (entry,) = read_job(json.dumps({"models": [with_installed_runtime(model).job()]})).models
    rows: list[dict[str, float]] = []
    predicted = np.zeros(n_classes, np.int64)
    with quiet_native_output():
        classifier = Classifier(entry, entry.open(0))
    with progress.bar("statistics", len(files)) as bar:
        for file in files:
            pixels = classifier.geometry.load(file)
            probabilities = classifier.classify(pixels)
            top = int(probabilities.argmax())
            rows.append({**picture_features(pixels), CONFIDENCE: comparable(probabilities[top])})
            predicted[top] += 1
            bar.advance()
    return DriftReference(
        model_sha256=sha256_file(model.path),
        n_images=len(files),
        values={name: tuple(row[name] for row in rows) for name in rows[0]},
        predicted=tuple(predicted.tolist()),
    )
