"""Sensitivity of layers to int8: each is quantized alone, and the predictions are compared with the Keras model's."""

from __future__ import annotations

import math
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

MOST_WRITTEN = 2.5e9
"""Weights that all files of a ranking may have together: about three minutes for TFLite on two cores."""


@dataclass(frozen=True)
class LayerCost:
    """The effect on the predictions of quantizing one layer alone, or a few consecutive ``layers`` of a large network.

    ``divergence``: Kullback-Leibler divergence of the file's probabilities from the Keras model's, mean over the
    images, in nats. ``agreement``: share of images with the same top class.
    """

    layers: tuple[str, ...]
    divergence: float
    agreement: float

    def record(self) -> LayerSensitivity:
        """The entry of ``export.json``."""
        first, *others = self.layers
        return LayerSensitivity(
            layer=first, with_next=len(others), divergence_nats=self.divergence, agreement=self.agreement
        )


def layer_costs(
    maker: QuantizingMaker, n_weights: int, pixels: NDArray[np.uint8], keras: Probabilities, progress: Progress
) -> list[LayerCost]:
    """Every layer's cost, the highest first; of a large network with ``n_weights``, that of a few layers at a time.

    ``pixels`` uint8 (N, H, W, 3) are calibration images, because the validation split is reserved for the verdict.
    ``keras`` (N, classes) are the Keras model's predictions on them.
    """
    layers = maker.quantizable_layers()
    groups = layer_groups(layers, n_weights)
    costs = []
    with progress.bar("sensitivity", len(groups)) as bar:
        for group in groups:
            bar.note(group[0])
            content = maker.with_float_layers(frozenset(layers) - frozenset(group))
            exported = predict_bytes(content, pixels)
            same = exported.argmax(axis=1) == keras.argmax(axis=1)
            costs.append(LayerCost(group, divergence(keras, exported), float(same.mean())))
            bar.advance()
    return sorted(costs, key=lambda cost: -cost.divergence)


def layer_groups(layers: Sequence[str], n_weights: int) -> list[tuple[str, ...]]:
    """``layers`` one by one, or a few consecutive ones at a time.

    Each file of the ranking holds all weights, so its cost grows with them: ResNet101V2 has 217 layers and 43 million
    weights, and one file for each layer would take 12 minutes.
    """
    size = max(1, math.ceil(len(layers) * n_weights / MOST_WRITTEN))
    return [tuple(layers[start : start + size]) for start in range(0, len(layers), size)]


def divergence(p: Probabilities, q: Probabilities) -> float:
    """Kullback-Leibler divergence of ``q`` from ``p`` (N, classes), mean over the rows, in nats.

    Probabilities below half an 8-bit step are raised to that.
    """
    p, q = np.clip(p.astype(np.float64), 1 / 512, None), np.clip(q.astype(np.float64), 1 / 512, None)
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    return float((p * np.log(p / q)).sum(axis=1).mean())


def costliest(costs: Sequence[LayerCost], n: int) -> tuple[str, ...]:
    """The layers of the ``n`` highest costs."""
    return tuple(layer for cost in costs[:n] for layer in cost.layers)
