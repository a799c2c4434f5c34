"""Whether a target predicts the same as this machine with the same model, image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock

import numpy as np

from edgekit.bench.accuracy import Predictions, measure_accuracy
from edgekit.bench.earlier_result import earlier_result, stored_predictions
from edgekit.bench.evaluation_images import ImageSet, ImageSetKey
from edgekit.bench.inspection import with_installed_runtime
from edgekit.bench.measured_model import MeasuredModel
from edgekit.documents.bench import DifferingImage, HostAgreement
from edgekit.errors import EdgekitError
from edgekit.support.progress import Progress
from edgekit.targets.local import LOCAL, LocalTarget


@dataclass
class HostPredictions:
    """This machine's own predictions, made once for all targets or taken from an earlier benchmark of it."""

    _known: dict[tuple[str, str, ImageSetKey], Predictions] = field(default_factory=dict)
    """By key and hash of the model, and its images."""
    _lock: Lock = field(default_factory=Lock)
    idle: Event = field(default_factory=Event)
    """Set while nothing is measured on this machine."""

    def __post_init__(self) -> None:
        self.idle.set()

    def of(
        self, models: Sequence[MeasuredModel], sets: Mapping[str, ImageSet], progress: Progress
    ) -> dict[str, Predictions]:
        """Predictions by model id. Models that no runtime here can run are left out, with a warning."""
        self.idle.wait()
        with self._lock:
            for model in models:
                images = sets.get(model.id)
                if images is None or (model.key, model.sha256, images.key) in self._known:
                    continue
                predictions = _stored(model, images) or _measured(model, images, progress)
                if predictions is not None:
                    self._known[model.key, model.sha256, images.key] = predictions
            return {
                model.id: self._known[model.key, model.sha256, sets[model.id].key]
                for model in models
                if model.id in sets and (model.key, model.sha256, sets[model.id].key) in self._known
            }


def agreement(there: Predictions, here: Predictions, images: ImageSet) -> HostAgreement:
    """The comparison as it is stored: how many images get the same class, and every image that does not.

    ``max_difference`` is the largest difference of one probability over all images.
    """
    classes_there, classes_here = there.probabilities.argmax(axis=1), here.probabilities.argmax(axis=1)
    differing = np.flatnonzero(classes_there != classes_here).tolist()
    return HostAgreement(
        n_images=len(images.files),
        n_same=len(images.files) - len(differing),
        max_difference=float(np.abs(there.probabilities - here.probabilities).max()),
        same_decoder=there.decoder == here.decoder,
        host_decoder=here.decoder,
        differing=tuple(
            DifferingImage(
                file=images.files[i],
                here=images.classes[classes_here[i]],
                there=images.classes[classes_there[i]],
                probability_here=float(here.probabilities[i].max()),
                probability_there=float(there.probabilities[i].max()),
            )
            for i in differing
        ),
    )


def _stored(model: MeasuredModel, images: ImageSet) -> Predictions | None:
    """What an earlier benchmark of this machine found for the same model and images."""
    result = earlier_result(model, LOCAL)
    return None if result is None else stored_predictions(result, images)


def _measured(model: MeasuredModel, images: ImageSet, progress: Progress) -> Predictions | None:
    plain = with_installed_runtime(model)
    try:
        found = measure_accuracy(LocalTarget(), [plain], {plain.id: images}, progress)
    except EdgekitError as error:
        progress.warn(f"{model.id} is not compared with this machine: {error.problem}")
        return None
    if model.id in found.failed:
        progress.warn(f"{model.id} is not compared with this machine: {found.failed[model.id]}")
    return found.predictions.get(model.id)
