"""What the Keras model predicts for the parity images: stored by training, or found out here.

Keras takes several times as long for an image as a runtime does. Where nothing is stored, the Keras model classifies a
sample; the fp32 file, once it is shown to predict the same for the sample, classifies the other images for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgekit.device.failures import DeviceError
from edgekit.documents.folders import RunFolder
from edgekit.documents.keras_predictions import KerasPredictions, read_keras_predictions
from edgekit.export.base import Probabilities
from edgekit.export.check.parity import FLOAT_TOLERANCE, predict_bytes
from edgekit.export.network import TrainedNetwork
from edgekit.export.sample_images import Samples

COMPARED = 16
"""Images for which stored predictions are computed again, to see whether they still apply."""

SAMPLE = 48
"""Images on which the fp32 file is compared with the Keras model, before it stands in for it."""

TOLERANCE = FLOAT_TOLERANCE / 10
"""Training in mixed precision, or on another backend, may predict something else than the float32 network here."""


@dataclass(frozen=True)
class KerasReference:
    """Probabilities (N, classes) of the parity images; ``n_by_keras`` of them by the Keras model itself."""

    probabilities: Probabilities
    n_by_keras: int


def keras_predictions(
    run: RunFolder, network: TrainedNetwork, parity: Samples, make_fp32: Callable[[], bytes] | None = None
) -> KerasReference:
    """The predictions for ``parity``, taken from the run folder where they are those of this network.

    ``make_fp32`` makes the fp32 file that may stand in for the Keras model; None: the Keras model classifies all.
    """
    path = run.predictions_of(parity.split)
    stored = read_keras_predictions(path)
    known = None
    if stored is not None and stored.model_sha256 == network.sha256:
        known = stored.of(parity.files)
    if known is not None and _apply(known, network, parity):
        return KerasReference(known, len(parity))
    if make_fp32 is not None and len(parity) >= 2 * SAMPLE:
        stand_in = _by_fp32_file(network, parity, make_fp32())
        if stand_in is not None:
            return KerasReference(stand_in, SAMPLE)
    found = network.predict(parity.pixels)
    if len(parity) == len(parity.dataset.indices(parity.split)):
        KerasPredictions(tuple(parity.files), parity.labels, found, network.sha256).write(path)
    return KerasReference(found, len(parity))


def _apply(known: Probabilities, network: TrainedNetwork, parity: Samples) -> bool:
    chosen = _spread(len(parity), COMPARED)
    again = network.predict(parity.pixels[chosen])
    return bool(np.abs(known[chosen] - again).max() <= TOLERANCE)


def _by_fp32_file(network: TrainedNetwork, parity: Samples, content: bytes) -> Probabilities | None:
    """The predictions of the fp32 file, with the Keras model's own on the sample; None where the two differ."""
    chosen = _spread(len(parity), SAMPLE)
    by_keras = network.predict(parity.pixels[chosen])
    try:
        found = predict_bytes(content, parity.pixels)
    except DeviceError:  # the check of that file will say why
        return None
    if found.shape[1:] != by_keras.shape[1:] or np.abs(found[chosen] - by_keras).max() > TOLERANCE:
        return None
    found[chosen] = by_keras
    return found


def _spread(count: int, wanted: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, wanted, dtype=np.int64))
