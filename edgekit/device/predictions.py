"""The verbs ``accuracy`` and ``predict``: predictions for a whole test split, or for a few images."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np

from . import corruptions, images
from .classifier import Classifier, Geometry, load_pixels
from .failures import DeviceError, OutputError
from .jobs import Job
from .protocol import CHUNK, CLEAN, Emit
from .protocol.events import AccuracyEvent, OpeningEvent, PackedPredictions, PredictEvent
from .protocol.jobs import AccuracyJob, PredictJob
from .protocol.verbs import Given
from .runtimes import all_cores

Condition = tuple[str, int]
"""Name of a corruption and severity, or :data:`CLEAN`."""
PixelsByGeometry = dict[Geometry, list[np.ndarray]]
"""The images of a chunk for each geometry that a model asks for."""


def accuracy(job: Job[AccuracyJob], emit: Emit[AccuracyEvent]) -> None:
    """The verb: probabilities for each image of ``files`` below ``root``, all models on the same pixels.

    As many models run at once as there are cores. With ``corruptions``, each image is corrupted in each of these ways;
    the random parts depend on ``corruption_seed``. A model whose output is not finite emits ``failed`` and no further
    predictions.
    """
    settings = job.settings
    root, files = Path(settings.get("root", "")), [str(name) for name in settings.get("files", [])]
    conditions = _conditions(settings.get("corruptions", [CLEAN]))
    classifiers = _open_all(job, emit)
    with ThreadPoolExecutor(all_cores()) as pool:  # runtimes, decoders and NumPy release Python's lock
        chunks = _Chunks(pool, root, classifiers, conditions, settings.get("corruption_seed", 0), emit)
        for start in range(settings.get("skip", 0), len(files), CHUNK):
            chunks.predict(start, files[start : start + CHUNK])
    emit({"event": "decoder", "name": images.DECODER, "suite": corruptions.SUITE})


class _Chunks:
    """Predicts one chunk of images after another. Drops models whose output is not finite."""

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        root: Path,
        classifiers: dict[str, Classifier],
        conditions: list[Condition],
        seed: int,
        emit: Emit[AccuracyEvent],
    ) -> None:
        self._pool = pool
        self._root = root
        self._classifiers = classifiers
        self._conditions = conditions
        self._seed = seed
        self._emit = emit

    def predict(self, start: int, files: list[str]) -> None:
        """Decode once for each geometry, then predict under each condition."""
        paths = [str(self._root / name) for name in files]
        pixels: PixelsByGeometry = {
            geometry: list(self._pool.map(load_pixels, paths, repeat(geometry)))
            for geometry in {classifier.geometry for classifier in self._classifiers.values()}
        }
        for number, condition in enumerate(self._conditions):
            # All cores corrupt the images, then all cores run models: corrupting the next images meanwhile would take
            # cores from a runtime whose threads wait for each other.
            self._predict_condition(start, files, number, self._corrupted(pixels, condition))

    def _predict_condition(self, start: int, files: list[str], number: int, pixels: PixelsByGeometry) -> None:
        pending = {
            key: self._pool.submit(_probabilities, model, pixels[model.geometry])
            for key, model in self._classifiers.items()
        }
        for key, future in pending.items():
            try:
                packed = _packed(future.result())
            except OutputError as error:
                del self._classifiers[key]
                reason = f"{error.reason} (images {files[0]} to {files[-1]})"
                self._emit({"event": "failed", "key": key, "reason": reason})
                continue
            self._emit(
                {
                    "event": "predictions",
                    "key": key,
                    "start": start,
                    "condition": number,
                    "activation": self._classifiers[key].activation,
                    **packed,
                }
            )

    def _corrupted(self, pixels: PixelsByGeometry, condition: Condition) -> PixelsByGeometry:
        if condition == CLEAN:
            return pixels
        name, severity = condition
        return {
            geometry: list(
                self._pool.map(corruptions.corrupt, of_geometry, repeat(name), repeat(severity), repeat(self._seed))
            )
            for geometry, of_geometry in pixels.items()
        }


def predict(job: Job[PredictJob], emit: Emit[PredictEvent]) -> None:
    """The verb: one ``prediction`` event per model and image of ``files``, with the probability of each class."""
    classifiers = _open_all(job, emit)
    root = Path(job.settings.get("root", ""))
    for number, path in enumerate(str(root / name) for name in job.settings.get("files", [])):
        for key, classifier in classifiers.items():
            probabilities = classifier.classify(load_pixels(path, classifier.geometry))
            emit(
                {
                    "event": "prediction",
                    "key": key,
                    "number": number,
                    "file": path,
                    "probabilities": [float(p) for p in probabilities],
                }
            )


def _conditions(given: Sequence[tuple[str, int]]) -> list[Condition]:
    """The conditions of a job. Raises :class:`DeviceError` for an unknown one."""
    conditions = [(str(name), int(severity)) for name, severity in given]
    for name, severity in conditions:
        if (name, severity) != CLEAN and not (name in corruptions.CORRUPTIONS and severity in corruptions.SEVERITIES):
            raise DeviceError(f"unknown corruption {name!r} of severity {severity}")
    return conditions


def _open_all(job: Job[Given], emit: Emit[OpeningEvent]) -> dict[str, Classifier]:
    if not job.models:
        raise DeviceError("the job contains no model")
    classifiers = {}
    for entry in job.models:
        emit({"event": "opening", "key": entry.key})
        classifiers[entry.key] = Classifier(entry, entry.open(job.threads))
    return classifiers


def _probabilities(classifier: Classifier, pixels: list[np.ndarray]) -> np.ndarray:
    """(N, classes) for N images."""
    return np.stack([classifier.classify(image) for image in pixels])


def _packed(probabilities: np.ndarray) -> PackedPredictions:
    content = np.ascontiguousarray(probabilities, dtype="<f4").tobytes()
    return {
        "count": int(probabilities.shape[0]),
        "classes": int(probabilities.shape[1]),
        "probabilities_b64": base64.b64encode(content).decode("ascii"),
    }
