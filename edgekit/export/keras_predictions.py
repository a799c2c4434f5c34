"""What the Keras model predicts for the parity images: stored by training, or computed once and stored."""

from __future__ import annotations

import numpy as np

from edgekit.documents.folders import RunFolder
from edgekit.documents.keras_predictions import KerasPredictions, read_keras_predictions
from edgekit.export.base import Probabilities
from edgekit.export.check.parity import FLOAT_TOLERANCE
from edgekit.export.network import TrainedNetwork
from edgekit.export.sample_images import Samples

COMPARED = 16
"""Images for which stored predictions are computed again, to see whether they still apply."""

TOLERANCE = FLOAT_TOLERANCE / 10
"""Training in mixed precision, or on another backend, may predict something else than the float32 network here."""


def keras_predictions(run: RunFolder, network: TrainedNetwork, parity: Samples) -> Probabilities:
    """Probabilities (N, classes) of ``parity``, taken from the run folder where they are those of this network."""
    path = run.predictions_of(parity.split)
    stored = read_keras_predictions(path)
    known = None
    if stored is not None and stored.model_sha256 == network.sha256:
        known = stored.of(parity.files)
    if known is not None and _apply(known, network, parity):
        return known
    found = network.predict(parity.pixels)
    if len(parity) == len(parity.dataset.indices(parity.split)):
        KerasPredictions(tuple(parity.files), parity.labels, found, network.sha256).write(path)
    return found


def _apply(known: Probabilities, network: TrainedNetwork, parity: Samples) -> bool:
    chosen = np.unique(np.linspace(0, len(parity) - 1, COMPARED, dtype=np.int64))
    again = network.predict(parity.pixels[chosen])
    return bool(np.abs(known[chosen] - again).max() <= TOLERANCE)
