"""What the models answer: predictions of a whole test split, or of a few images."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np

from . import images
from .failures import DeviceError, OutputError
from .jobs import Classifier, Emit, Job, load_pixels

CHUNK = 32
"""Images whose predictions are written together."""


def accuracy(job: Job, emit: Emit) -> None:
    """The verb: probabilities of every image of ``files`` below ``root``, all models on the same pixels.

    A ``predictions`` line holds float32 (count, classes), little-endian, base64. A model whose output is not finite
    gives a ``failed`` line and no more predictions. ``skip``: so many of the files were answered before an
    interruption.
    """
    root, files = str(job.raw.get("root", "")), [str(name) for name in job.raw.get("files", [])]
    classifiers = _open_all(job, emit)
    for start in range(int(job.raw.get("skip", 0)), len(files), CHUNK):
        names = files[start : start + CHUNK]
        pixels = {
            geometry: [load_pixels(str(Path(root) / name), geometry) for name in names]
            for geometry in {classifier.geometry for classifier in classifiers.values()}
        }
        for key, classifier in list(classifiers.items()):
            try:
                rows = [classifier.classify(image) for image in pixels[classifier.geometry]]
            except OutputError as error:
                del classifiers[key]
                emit("failed", key=key, reason=f"{error.reason} (images {names[0]} to {names[-1]})")
                continue
            emit("predictions", key=key, start=start, **_encoded(np.stack(rows)), activation=classifier.activation)
    emit("decoder", name=images.DECODER)


def predict(job: Job, emit: Emit) -> None:
    """The verb: one ``prediction`` line per model and image of ``files``, every class with its probability."""
    classifiers = _open_all(job, emit)
    for number, path in enumerate(str(Path(job.raw.get("root", "")) / name) for name in job.raw.get("files", [])):
        for key, classifier in classifiers.items():
            probabilities = classifier.classify(load_pixels(path, classifier.geometry))
            emit("prediction", key=key, number=number, file=path, probabilities=[float(p) for p in probabilities])


def _open_all(job: Job, emit: Emit) -> dict[str, Classifier]:
    if not job.models:
        raise DeviceError("the job names no model")
    classifiers = {}
    for entry in job.models:
        emit("opening", key=entry.key)
        classifiers[entry.key] = Classifier(entry, entry.open(job.threads))
    return classifiers


def _encoded(probabilities: np.ndarray) -> dict[str, Any]:
    content = np.ascontiguousarray(probabilities, dtype="<f4").tobytes()
    return {
        "count": int(probabilities.shape[0]),
        "classes": int(probabilities.shape[1]),
        "probabilities_b64": base64.b64encode(content).decode("ascii"),
    }
