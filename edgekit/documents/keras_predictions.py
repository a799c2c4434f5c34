"""``predictions.npz`` and its likes: what the Keras model of a run predicts for the images of one split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.arrays import read_arrays, read_predictions
from edgekit.errors import InputError
from edgekit.support.files import atomic_path


@dataclass(frozen=True)
class KerasPredictions:
    """N images: their ``files`` below the image folder, ``labels`` int32 (N,), ``probabilities`` (N, classes).

    ``model_sha256`` is the SHA-256 of the ``model.keras`` that predicts this.
    """

    files: tuple[str, ...]
    labels: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    model_sha256: str

    def write(self, path: Path) -> None:
        """Write the file atomically."""
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(
                stream,
                labels=self.labels,
                probabilities=self.probabilities,
                files=np.array(self.files),
                model_sha256=np.array(self.model_sha256),
            )

    def of(self, files: list[str]) -> NDArray[np.float32] | None:
        """Probabilities (M, classes) of ``files`` in this order; None where one is missing."""
        rows = {file: row for row, file in enumerate(self.files)}
        if any(file not in rows for file in files):
            return None
        return self.probabilities[[rows[file] for file in files]]


def read_keras_predictions(path: Path) -> KerasPredictions | None:
    """The stored predictions; None where there are none, or where they cannot be read."""
    try:
        stored = read_predictions(path)
        sha256 = str(read_arrays(path, ("model_sha256",))["model_sha256"])
    except InputError:
        return None
    return KerasPredictions(stored.files, stored.labels.astype(np.int32), stored.probabilities, sha256)
