"""Sensitivity of layers to int8: each is quantized alone, and the predictions are compared with the Keras model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.export import LayerSensitivity
from edgekit.export.base import Probabilities, QuantizingMaker
from edgekit.export.check.parity import predict_bytes
from edgekit.support.progress import Progress

IMAGES = 32
"""Calibration images for the comparison: a ranking needs fewer images than a verdict."""


@dataclass(frozen=True)
class LayerCost:
    """The effect on the predictions of quantizing one layer alone.

    ``divergence``: Kullback-Leibler divergence of the file's probabilities from the Keras model's, mean over the
    images, in nats. ``agreement``: share of images with the same top class.
    """

    layer: str
    divergence: float
    agreement: float

    def record(self) -> LayerSensitivity:
        """The entry of ``export.json``."""
        return LayerSensitivity(layer=self.layer, divergence_nats=self.divergence, agreement=self.agreement)


def layer_costs(
    maker: QuantizingMaker, pixels: NDArray[np.uint8], keras: Probabilities, progress: Progress
) -> list[LayerCost]:
    """Every layer's cost, the highest first.

    ``pixels`` uint8 (N, H, W, 3) are calibration images, because the validation split is reserved for the verdict.
    ``keras`` (N, classes) are the Keras model's predictions on them.
    """
    layers = maker.quantizable_layers()
    costs = []
    with progress.bar("sensitivity", len(layers)) as bar:
        for layer in layers:
            bar.note(layer)
            content = maker.with_float_layers(frozenset(layers) - {layer})
            exported = predict_bytes(content, pixels)
            same = exported.argmax(axis=1) == keras.argmax(axis=1)
            costs.append(LayerCost(layer, divergence(keras, exported), float(same.mean())))
            bar.advance()
    return sorted(costs, key=lambda cost: -cost.divergence)


def divergence(p: Probabilities, q: Probabilities) -> float:
    """Kullback-Leibler divergence of ``q`` from ``p`` (N, classes), mean over the rows, in nats.

    Probabilities below half an 8-bit step are raised to that.
    """
    p, q = np.clip(p.astype(np.float64), 1 / 512, None), np.clip(q.astype(np.float64), 1 / 512, None)
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    return float((p * np.log(p / q)).sum(axis=1).mean())


def costliest(costs: Sequence[LayerCost], n: int) -> frozenset[str]:
    """The ``n`` layers with the highest cost."""
    return frozenset(cost.layer for cost in costs[:n])
