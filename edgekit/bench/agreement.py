"""Whether a target answers as this machine does for the same file, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any

import numpy as np

from edgekit.bench.evaluation_images import ImageSet
from edgekit.bench.measure import Predictions, measure_accuracy
from edgekit.bench.model_inspection import with_known_runtime
from edgekit.bench.models import Candidate
from edgekit.documents.base import read_json
from edgekit.errors import EdgekitError
from edgekit.support.progress import Progress
from edgekit.targets.local import LOCAL, LocalTarget


@dataclass
class HostAnswers:
    """This machine's own predictions, measured once for all targets or taken from an earlier bench of it."""

    _known: dict[tuple[str, Any], Predictions] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    quiet: Event = field(default_factory=Event)
    """Set while nothing is measured here."""

    def __post_init__(self) -> None:
        self.quiet.set()

    def of(
        self, candidates: Sequence[Candidate], sets: dict[str, ImageSet], progress: Progress
    ) -> dict[str, Predictions]:
        """Predictions by candidate id; files that no runtime here runs are left out, with a warning."""
        self.quiet.wait()
        with self._lock:
            for candidate in candidates:
                images = sets.get(candidate.id)
                if images is None or (candidate.sha256, images.key) in self._known:
                    continue
                answers = _stored(candidate, images) or _measured(candidate, images, progress)
                if answers is not None:
                    self._known[candidate.sha256, images.key] = answers
            return {
                c.id: self._known[c.sha256, sets[c.id].key]
                for c in candidates
                if c.id in sets and (c.sha256, sets[c.id].key) in self._known
            }


def agreement(there: Predictions, here: Predictions, images: ImageSet) -> dict[str, Any]:
    """The comparison as it is stored: how many images have the same top class, and every one that has not.

    ``max_difference`` is the largest difference of one probability over all images.
    """
    classes_there, classes_here = there.probabilities.argmax(axis=1), here.probabilities.argmax(axis=1)
    differing = np.flatnonzero(classes_there != classes_here).tolist()
    return {
        "n_images": len(images.files),
        "n_same": len(images.files) - len(differing),
        "max_difference": float(np.abs(there.probabilities - here.probabilities).max()),
        "same_decoder": there.decoder == here.decoder,
        "host_decoder": here.decoder,
        "differing": [
            {
                "file": images.files[i],
                "here": images.classes[classes_here[i]],
                "there": images.classes[classes_there[i]],
                "probability_here": float(here.probabilities[i].max()),
                "probability_there": float(there.probabilities[i].max()),
            }
            for i in differing
        ],
    }


def _stored(candidate: Candidate, images: ImageSet) -> Predictions | None:
    """What an earlier bench of this machine found for the same file and images."""
    path = candidate.document_path(LOCAL)
    if not path.is_file():
        return None
    document = read_json(path)
    accuracy = document.get("accuracy")
    if document.get("sha256") != candidate.sha256 or not accuracy:
        return None
    try:
        with np.load(path.parent / accuracy["predictions"]) as stored:
            if tuple(stored["files"].tolist()) != images.files:
                return None
            return Predictions(stored["probabilities"], accuracy["activation"], accuracy["decoder"])
    except (OSError, KeyError, ValueError):
        return None


def _measured(candidate: Candidate, images: ImageSet, progress: Progress) -> Predictions | None:
    plain = with_known_runtime(candidate)
    try:
        done, failed = measure_accuracy(LocalTarget(), [plain], {plain.id: images}, progress)
    except EdgekitError as error:
        progress.warn(f"{candidate.id} is not compared with this machine: {error.problem}")
        return None
    if candidate.id in failed:
        progress.warn(f"{candidate.id} is not compared with this machine: {failed[candidate.id]}")
    return done.get(candidate.id)
