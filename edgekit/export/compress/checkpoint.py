"""What further training has reached, kept after every epoch: the same command goes on from there after an interrupt."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from edgekit.support.files import atomic_path


@dataclass(frozen=True)
class Unfinished:
    """A file of weights and optimizer state; ``work`` is all that the training depends on, as JSON values.

    A file of other work, or one that cannot be read, counts as none: the training begins anew.
    """

    path: Path
    work: dict[str, Any]

    @property
    def _key(self) -> str:
        return hashlib.sha256(json.dumps(self.work, sort_keys=True).encode()).hexdigest()

    def save(self, model: Any, history: list[dict[str, Any]]) -> None:
        """Keep ``model``, a compiled tf_keras model in training, after the last epoch of ``history``."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {f"v{number}": variable.numpy() for number, variable in enumerate(_variables(model))}
        with atomic_path(self.path) as path, path.open("wb") as stream:
            np.savez(stream, key=self._key, history=json.dumps(history), **arrays)

    def restore(self, model: Any) -> list[dict[str, Any]]:
        """Bring ``model``, compiled and not trained yet, to where the file is; its history, empty without a file."""
        try:
            with np.load(self.path) as stored:
                if str(stored["key"]) != self._key:
                    return []
                model.optimizer._create_all_weights(model.trainable_variables)  # otherwise made by the first step
                variables = _variables(model)
                arrays = [stored[f"v{number}"] for number in range(len(variables))]
                history: list[dict[str, Any]] = json.loads(str(stored["history"]))
        except (FileNotFoundError, BadZipFile, EOFError, KeyError, ValueError):
            return []
        for variable, array in zip(variables, arrays):
            variable.assign(array)
        return history

    def remove(self) -> None:
        """The training's files are made: nothing is left to go on with."""
        self.path.unlink(missing_ok=True)


def _variables(model: Any) -> list[Any]:
    return [*model.weights, *model.optimizer.variables()]
