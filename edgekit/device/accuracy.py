"""What the models answer: predictions of a whole test split, or of a few images."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from . import corruptions, images
from .failures import DeviceError, OutputError
from .jobs import Classifier, Emit, Job, load_pixels
from .runtimes import all_cores

CHUNK = 32
"""Images whose predictions are written together."""

Condition = tuple[str, int]
"""Name of a corruption and severity; ``("clean", 0)``: none."""
Shown = dict[tuple[int, str], list[np.ndarray]]
"""Pixels of the images of a chunk, by side and kind of resizing."""


def accuracy(job: Job, emit: Emit) -> None:
    """The verb: probabilities of every image of ``files`` below ``root``, all models on the same pixels.

    As many models at once as there are cores.

    With ``corruptions`` (pairs of name and severity; ``["clean", 0]`` is none) every image is shown under each of
    them, as ``corruption_seed`` draws it; ``condition`` is then the number of the pair. A ``predictions`` line holds
    float32 (count, classes), little-endian, base64. A model whose output is not finite gives a ``failed`` line and no
    more predictions. ``skip``: so many of the files were answered before an interruption.
    """
    root, files = str(job.raw.get("root", "")), [str(name) for name in job.raw.get("files", [])]
    conditions = _conditions(job)
    classifiers = _open_all(job, emit)
    seed = int(job.raw.get("corruption_seed", 0))
    with ThreadPoolExecutor(all_cores()) as pool:  # runtimes, decoders and numpy let go of Python's lock
        for start in range(int(job.raw.get("skip", 0)), len(files), CHUNK):
            names = files[start : start + CHUNK]
            paths = [str(Path(root) / name) for name in names]
            pixels = {
                geometry: list(pool.map(load_pixels, paths, repeat(geometry)))
                for geometry in {classifier.geometry for classifier in classifiers.values()}
            }
            for number, condition in enumerate(conditions):
                # All cores change the images, then all classify: changing the next ones meanwhile would take cores
                # from a runtime whose threads wait for each other.
                shown = _shown(pixels, condition, seed, pool)
                answers = {key: pool.submit(_rows, model, shown[model.geometry]) for key, model in classifiers.items()}
                for key, answer in answers.items():
                    try:
                        rows = _encoded(answer.result())
                    except OutputError as error:
                        del classifiers[key]
                        emit("failed", key=key, reason=f"{error.reason} (images {names[0]} to {names[-1]})")
                        continue
                    activation = classifiers[key].activation
                    emit("predictions", key=key, start=start, condition=number, **rows, activation=activation)
    emit("decoder", name=images.DECODER, suite=corruptions.SUITE)


def _conditions(job: Job) -> list[Condition]:
    """What the images are shown under; without ``corruptions`` in the job, as they are."""
    given = job.raw.get("corruptions", [["clean", 0]])
    conditions = [(str(name), int(severity)) for name, severity in given]
    for name, severity in conditions:
        known = (name, severity) == ("clean", 0) or (
            name in corruptions.CORRUPTIONS and severity in corruptions.SEVERITIES
        )
        if not known:
            raise DeviceError(f"there is no corruption {name!r} of severity {severity}")
    return conditions


def _shown(pixels: Shown, condition: Condition, seed: int, pool: ThreadPoolExecutor) -> Shown:
    """The images under one condition."""
    name, severity = condition
    if severity == 0:
        return pixels
    return {
        geometry: list(pool.map(corruptions.corrupt, of_geometry, repeat(name), repeat(severity), repeat(seed)))
        for geometry, of_geometry in pixels.items()
    }


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


def _rows(classifier: Classifier, pixels: list[np.ndarray]) -> np.ndarray:
    """Probabilities (N, classes) of N images."""
    return np.stack([classifier.classify(image) for image in pixels])


def _encoded(probabilities: np.ndarray) -> dict[str, Any]:
    content = np.ascontiguousarray(probabilities, dtype="<f4").tobytes()
    return {
        "count": int(probabilities.shape[0]),
        "classes": int(probabilities.shape[1]),
        "probabilities_b64": base64.b64encode(content).decode("ascii"),
    }
