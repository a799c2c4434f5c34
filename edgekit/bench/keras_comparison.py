"""An exported file against the Keras model of its run on the test images: agreement, and the accuracy gate again.

The gate of the export judged on other images. On the test split, nothing was chosen: neither epoch nor repair.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.bench.evaluation_images import ImageSet
from edgekit.bench.measured_model import MeasuredModel
from edgekit.documents.arrays import read_predictions
from edgekit.documents.folders import RunFolder
from edgekit.documents.gate import GateRecord, gate_record


@dataclass(frozen=True)
class KerasComparison:
    """Share of the images with the same class, and the gate; ``gate`` is None where the export has no gate."""

    agreement: float
    gate: GateRecord | None


def compare_with_keras(model: MeasuredModel, images: ImageSet, classes: NDArray[np.int64]) -> KerasComparison | None:
    """Compare the predicted ``classes`` (N,); None for a third-party model, and where Keras predictions are missing."""
    path = RunFolder(model.folder).predictions
    if model.run is None or not path.is_file():
        return None
    stored = read_predictions(path, hint=f"edgekit evaluate {shlex.quote(str(model.folder))} writes it again")
    keras_of = dict(zip(stored.files, stored.probabilities.argmax(axis=1).tolist()))
    known = np.array([i for i, file in enumerate(images.files) if file in keras_of], np.int64)
    if not len(known):
        return None
    files = [images.files[i] for i in known.tolist()]
    keras, exported = np.array([keras_of[file] for file in files], np.int64), classes[known]
    gate = None
    if model.limits is not None:
        names = (images.classes, files)
        gate = gate_record(keras, exported, images.labels[known], names, model.limits, split="test")
    return KerasComparison(float((keras == exported).mean()), gate)
