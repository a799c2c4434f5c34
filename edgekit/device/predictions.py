"""The verbs ``accuracy`` and ``predict``: predictions for a whole test split, or for a few images."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Union

import numpy as np

from . import corruptions, images
from .classifier import Classifier
from .failures import DeviceError, OutputError, PictureError
from .jobs import Job
from .protocol import CHUNK, CLEAN, Emit
from .protocol.events import AccuracyEvent, OpeningEvent, PackedPredictions, PredictEvent
from .protocol.jobs import AccuracyJob, PredictJob
from .protocol.verbs import Given
from .streams import SLICE, ClassifierPool, in_order, open_pools

Condition = tuple[str, int]
"""Name of a corruption and severity, or :data:`CLEAN`."""


def accuracy(job: Job[AccuracyJob], emit: Emit[AccuracyEvent]) -> None:
    """The verb: probabilities for each image of ``files`` below ``root``, all models on the same pixels.

    Every core works on images of its own, decoded once for all models. With ``corruptions``, each image is corrupted
    in each of these ways; the random parts depend on ``corruption_seed``. A model whose output is not finite emits
    ``failed`` and no further predictions.
    """
    settings = job.settings
    conditions = _conditions(settings.get("corruptions", [CLEAN]))
    paths = [str(Path(settings.get("root", "")) / str(name)) for name in settings.get("files", [])]
    pools = _open_all(job, emit)
    for pool in pools.values():
        if not pool.first.decided:
            _decide(pool.first, paths)
    evaluation = _Evaluation(pools, conditions, settings.get("corruption_seed", 0))
    starts = range(settings.get("skip", 0), len(paths), CHUNK)
    slices = [(start, number) for start in starts for number in range(start, min(start + CHUNK, len(paths)), SLICE)]
    parts: list[_Scored] = []

    def score(place: tuple[int, int]) -> tuple[int, _Scored]:
        start, number = place
        return start, evaluation.score(paths[number : min(number + SLICE, start + CHUNK)])

    for place, (start, part) in zip(slices, in_order(score, slices, job.threads)):
        parts.append(part)
        if place[1] + SLICE >= min(start + CHUNK, len(paths)):  # the last of its chunk
            evaluation.report(start, parts, settings["files"], emit)
            parts = []
    emit({"event": "decoder", "name": images.DECODER, "suite": corruptions.SUITE})


_Scored = dict[tuple[int, str], Union[np.ndarray, OutputError]]
"""Probabilities (N, classes) of a few images, or why there are none, by number of condition and key of model."""


class _Evaluation:
    """What all threads share: the models, those that failed, and the conditions."""

    def __init__(self, pools: dict[str, ClassifierPool], conditions: list[Condition], seed: int) -> None:
        self._pools = pools
        self._conditions = conditions
        self._seed = seed
        self._live = dict.fromkeys(pools)

    def score(self, paths: list[str]) -> _Scored:
        """Decode ``paths`` once for each geometry, then classify them under each condition with each model."""
        live = list(self._live)
        decoded = {
            geometry: [geometry.load(path) for path in paths]
            for geometry in dict.fromkeys(self._pools[key].first.geometry for key in live)
        }
        found: _Scored = {}
        for number, condition in enumerate(self._conditions):
            pixels = {geometry: self._corrupted(of_geometry, condition) for geometry, of_geometry in decoded.items()}
            for key in list(live):
                try:
                    with self._pools[key].borrowed() as classifier:
                        found[number, key] = np.stack([classifier.classify(p) for p in pixels[classifier.geometry]])
                except OutputError as error:
                    found[number, key] = error
                    live.remove(key)
        return found

    def report(self, start: int, parts: list[_Scored], files: Sequence[str], emit: Emit[AccuracyEvent]) -> None:
        """Emit the predictions of one chunk, whose first image is number ``start``. Drops models that failed."""
        for number in range(len(self._conditions)):
            for key in list(self._live):
                parts_of_key = [part[number, key] for part in parts]
                rows = [part for part in parts_of_key if not isinstance(part, OutputError)]
                failed = next((part for part in parts_of_key if isinstance(part, OutputError)), None)
                if failed is not None:
                    del self._live[key]
                    last = min(start + CHUNK, len(files)) - 1
                    reason = f"{failed.reason} (images {files[start]} to {files[last]})"
                    emit({"event": "failed", "key": key, "reason": reason})
                    continue
                emit(
                    {
                        "event": "predictions",
                        "key": key,
                        "start": start,
                        "condition": number,
                        "activation": self._pools[key].first.activation,
                        **_packed(np.concatenate(rows)),
                    }
                )

    def _corrupted(self, pixels: list[np.ndarray], condition: Condition) -> list[np.ndarray]:
        if condition == CLEAN:
            return pixels
        name, severity = condition
        return [corruptions.corrupt(image, name, severity, self._seed) for image in pixels]


def _decide(classifier: Classifier, paths: list[str]) -> None:
    """Let the first image show what has to be applied to the output, so that this does not depend on the threads."""
    for path in paths:
        try:
            classifier.classify(classifier.geometry.load(path))
        except PictureError:  # it is reported with the other images
            continue
        except OutputError:
            pass
        return


def predict(job: Job[PredictJob], emit: Emit[PredictEvent]) -> None:
    """The verb: for every image of ``files`` and every model, one ``prediction`` with the probability of each class.

    An image that cannot be read emits ``unreadable`` instead, once, and the others follow.
    """
    pools = _open_all(job, emit)
    root = Path(job.settings.get("root", ""))
    paths = [str(root / name) for name in job.settings.get("files", [])]
    for pool in pools.values():
        if not pool.first.decided:
            _decide(pool.first, paths)

    def classify(path: str) -> dict[str, np.ndarray] | PictureError:
        found = {}
        try:
            for key, pool in pools.items():
                pixels = pool.first.geometry.load(path)
                with pool.borrowed() as classifier:
                    found[key] = classifier.classify(pixels)
        except PictureError as error:
            return error
        return found

    for number, (path, found) in enumerate(zip(paths, in_order(classify, paths, job.threads))):
        if isinstance(found, PictureError):
            emit({"event": "unreadable", "number": number, "file": path, "reason": found.reason})
            continue
        for key, probabilities in found.items():
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


def _open_all(job: Job[Given], emit: Emit[OpeningEvent]) -> dict[str, ClassifierPool]:
    if not job.models:
        raise DeviceError("the job contains no model")
    return open_pools(job.models, job.threads, lambda entry: emit({"event": "opening", "key": entry.key}))


def _packed(probabilities: np.ndarray) -> PackedPredictions:
    content = np.ascontiguousarray(probabilities, dtype="<f4").tobytes()
    return {
        "count": int(probabilities.shape[0]),
        "classes": int(probabilities.shape[1]),
        "probabilities_b64": base64.b64encode(content).decode("ascii"),
    }
