"""What every phase of a run shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.data.dataset import Dataset
from edgekit.documents.history import EpochResult
from edgekit.recipe import Phase, Recipe
from edgekit.recipe.section import PhaseName
from edgekit.train import network as net
from edgekit.train.backend import Backend
from edgekit.train.batches import predict
from edgekit.train.checkpoint import PhaseCheckpoint

Pixels = NDArray[np.uint8]
Values = NDArray[Any]


@dataclass(frozen=True)
class RunContext:
    """Shared by all phases of a run: the network, the images, and the folder for checkpoints."""

    recipe: Recipe
    network: keras.Model
    dataset: Dataset
    pixels: Pixels
    backend: Backend
    checkpoints: Path
    on_history: Callable[[str, list[EpochResult]], None]
    history: dict[str, list[EpochResult]] = field(default_factory=dict)
    """The epochs of the phases so far."""
    predictions: dict[str, Values] = field(default_factory=dict)
    """``val``: the probabilities of the network with its best weights, if the last phase has just computed them."""

    @property
    def train_rows(self) -> NDArray[np.int64]:
        return self.dataset.indices("train")

    @property
    def val_rows(self) -> NDArray[np.int64]:
        return self.dataset.indices("val")

    def keep_history(self, name: str, epochs: list[EpochResult]) -> None:
        """Keep the epochs of a phase, and pass them on."""
        self.history[name] = list(epochs)
        self.on_history(name, epochs)

    def checkpoint(self, name: PhaseName) -> PhaseCheckpoint:
        return PhaseCheckpoint(self.checkpoints / f"{name}.npz")

    def set_dropout(self, phase: Phase) -> None:
        """Use the dropout rate of ``phase``, or that of the head."""
        head = self.recipe.model.head
        net.set_dropout(self.network, head.dropout if phase.dropout is None else phase.dropout)

    def predict_val(self) -> Values:
        """Probabilities (N, classes) of the validation images with the current weights."""
        return predict(self.network, self.pixels, self.val_rows)
