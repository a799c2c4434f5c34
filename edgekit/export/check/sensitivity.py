"""Which layers lose accuracy to 8 bits: each is quantized alone, and the answers compared with the Keras model's."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.export.check.parity import Probabilities, answers, open_exported
from edgekit.export.formats import QuantizingMaker
from edgekit.support.progress import Progress

IMAGES = 32
"""Calibration images on which layers are compared: a ranking needs fewer than a verdict."""


@dataclass(frozen=True)
class LayerCost:
    """What quantizing one layer alone does to the answers.

    ``divergence``: Kullback-Leibler divergence of the file's probabilities from the Keras model's, mean over the
    images, in nats. ``agreement``: share of images with the same top class.
    """

    layer: str
    divergence: float
    agreement: float

    def document(self) -> dict[str, Any]:
        return {"layer": self.layer, "divergence_nats": self.divergence, "agreement": self.agreement}


def layer_costs(maker: QuantizingMaker, pixels: Any, keras: Probabilities, progress: Progress) -> list[LayerCost]:
    """Every layer's cost, the highest first.

    ``pixels`` uint8 (N, H, W, 3) are calibration images: the validation split stays for the verdict. ``keras``
    (N, classes) are the Keras model's answers to them.
    """
    layers = maker.quantizable()
    costs = []
    with progress.bar("sensitivity", len(layers)) as bar:
        for layer in layers:
            bar.note(layer)
            content = maker.mixed(frozenset(layers) - {layer})
            exported = run(content, pixels)
            same = exported.argmax(axis=1) == keras.argmax(axis=1)
            costs.append(LayerCost(layer, divergence(keras, exported), float(same.mean())))
            bar.advance()
    return sorted(costs, key=lambda cost: -cost.divergence)


def divergence(p: Probabilities, q: Probabilities) -> float:
    """Kullback-Leibler divergence of ``q`` from ``p`` (N, classes), mean over the rows, in nats.

    Half a step of an 8-bit probability stands for 0.
    """
    p, q = np.clip(p.astype(np.float64), 1 / 512, None), np.clip(q.astype(np.float64), 1 / 512, None)
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    return float((p * np.log(p / q)).sum(axis=1).mean())


def run(content: bytes, pixels: Any) -> Probabilities:
    """The answers (N, classes) of a file that is not on the disk yet."""
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        path = Path(folder) / f"model{'.tflite' if content[4:8] == b'TFL3' else '.onnx'}"
        path.write_bytes(content)
        return answers(open_exported(path), pixels)


def top(costs: Sequence[LayerCost], n: int) -> frozenset[str]:
    """The ``n`` layers that cost most."""
    return frozenset(cost.layer for cost in costs[:n])
