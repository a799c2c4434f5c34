"""The checkpoint of a compression, written after every epoch: an interrupted export resumes from it when rerun."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.device.archives import DAMAGED
from edgekit.documents.export import CompressionEpoch
from edgekit.support.files import atomic_path


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights and optimizer state. ``depends_on`` is everything the training depends on, as JSON values.

    A checkpoint with other dependencies, or one that cannot be read, is ignored: the training starts from the
    beginning.
    """

    path: Path
    depends_on: Mapping[str, object]

    @property
    def _key(self) -> str:
        return hashlib.sha256(json.dumps(self.depends_on, sort_keys=True).encode()).hexdigest()

    def save(self, model: Any, history: Sequence[CompressionEpoch]) -> None:
        """Store ``model``, a compiled tf_keras model in training, after the last epoch of ``history``."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {f"v{number}": variable.numpy() for number, variable in enumerate(_variables(model))}
        with atomic_path(self.path) as path, path.open("wb") as stream:
            epochs = json.dumps([epoch.model_dump() for epoch in history])
            np.savez(stream, key=self._key, history=epochs, **arrays)

    def restore(self, model: Any) -> list[CompressionEpoch]:
        """Load the checkpoint into ``model``, compiled and not trained yet; its history, empty without a checkpoint."""
        try:
            with np.load(self.path) as stored:
                if str(stored["key"]) != self._key:
                    return []
                model.optimizer._create_all_weights(model.trainable_variables)  # otherwise the first step makes them
                variables = _variables(model)
                arrays = [stored[f"v{number}"] for number in range(len(variables))]
                history = [CompressionEpoch(**epoch) for epoch in json.loads(str(stored["history"]))]
        except DAMAGED:
            return []
        for variable, array in zip(variables, arrays):
            variable.assign(array)
        return history

    def remove(self) -> None:
        """Delete the file once the exported files are made."""
        self.path.unlink(missing_ok=True)


def _variables(model: Any) -> list[Any]:
    return [*model.weights, *model.optimizer.variables()]
