"""What every phase of a run shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
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
from edgekit.train.device_data import DeviceInputs, inputs_of
from edgekit.train.device_engine import Engine, engine_of
from edgekit.train.times import Times

Pixels = NDArray[np.uint8]
Values = NDArray[Any]


@dataclass
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
    """Probabilities of splits by the network with its best weights, if the last phase has just computed them."""
    times: Times = field(default_factory=Times)
    uploaded: DeviceInputs | None = None
    """The images on the accelerator, if they are there already."""
    predict_rows: Callable[[NDArray[np.int64]], Values] | None = None
    """On an accelerator: predicts rows of the images with what the last phase has compiled."""
    feature_maps: Callable[[NDArray[np.int64]], Values] | None = None
    """On an accelerator: the last feature maps for rows of the images, for Grad-CAM."""

    @cached_property
    def engine(self) -> Engine | None:
        """What trains on data on the accelerator; ``None`` if the host prepares the batches."""
        return engine_of(self.backend, self.recipe.train.batches)

    @cached_property
    def device_pixels(self) -> DeviceInputs:
        """The images on the accelerator."""
        assert self.engine is not None
        return self.uploaded or inputs_of(self.engine, self.pixels)

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
