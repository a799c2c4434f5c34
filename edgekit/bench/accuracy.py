"""The predictions of the models on the test images, with the runtime and the decoder of the target."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgekit.bench.evaluation_images import ImageSet, ImageSetKey
from edgekit.bench.measured_model import MeasuredModel
from edgekit.device.protocol.events import PredictionsEvent
from edgekit.device.protocol.jobs import AccuracyJob
from edgekit.device.protocol.verbs import ACCURACY
from edgekit.errors import EdgekitError
from edgekit.support.progress import Bar, Progress
from edgekit.targets.base import Target


@dataclass(frozen=True)
class Predictions:
    """What one model predicts: ``probabilities`` float32 (N, classes) in the order of its image set."""

    probabilities: NDArray[np.float32]
    activation: str
    decoder: str


@dataclass(frozen=True)
class AccuracyRun:
    """Predictions by model id, and the reason for each model whose output was not finite."""

    predictions: dict[str, Predictions] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    n_scored: dict[str, int] = field(default_factory=dict)
    """How many images a model has classified so far."""


def measure_accuracy(
    target: Target,
    models: Sequence[MeasuredModel],
    sets: Mapping[str, ImageSet],
    progress: Progress,
    found: AccuracyRun | None = None,
) -> AccuracyRun:
    """Let every model that has images classify them. Models with the same images see the same pixels.

    ``found`` is added to and returned.
    """
    found = AccuracyRun() if found is None else found
    groups: dict[ImageSetKey, list[MeasuredModel]] = {}
    for model in models:
        if model.id in sets:
            groups.setdefault(sets[model.id].key, []).append(model)
    total = sum(len(sets[group[0].id].files) * len(group) for group in groups.values())
    if not total:
        return found
    with progress.bar("accuracy", total) as bar:
        for group in groups.values():
            _classify(target, group, sets[group[0].id], found, bar)
    return found


def probabilities_of(event: PredictionsEvent) -> NDArray[np.float32]:
    """The (count, classes) probabilities in a ``predictions`` line of the device program."""
    block = np.frombuffer(base64.b64decode(event["probabilities_b64"]), "<f4")
    return block.reshape(event["count"], event["classes"]).astype(np.float32)


def _classify(target: Target, group: list[MeasuredModel], images: ImageSet, found: AccuracyRun, bar: Bar) -> None:
    models = [model.job() for model in group]
    job = AccuracyJob(models=models, threads=0, root=str(images.root), files=images.files)
    chunks: dict[str, list[NDArray[np.float32]]] = {}
    activation: dict[str, str] = {}
    decoder = ""
    for event in target.run(ACCURACY, job):
        if event["event"] == "predictions":
            chunks.setdefault(event["key"], []).append(probabilities_of(event))
            activation.setdefault(event["key"], event["activation"])
            found.n_scored[event["key"]] = event["start"] + event["count"]
            bar.advance(event["count"])
        elif event["event"] == "failed":
            found.failed[event["key"]] = event["reason"]
        elif event["event"] == "decoder":
            decoder = event["name"]
    for key, blocks in chunks.items():
        if key in found.failed:
            continue
        probabilities = np.concatenate(blocks)
        if len(probabilities) != len(images.files):
            raise EdgekitError(f"the target classified only {len(probabilities)} of {len(images.files)} images")
        found.predictions[key] = Predictions(probabilities, activation[key], decoder)
