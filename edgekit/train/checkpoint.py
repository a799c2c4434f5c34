"""Checkpoints, from which an interrupted run resumes: one file per phase, replaced after every epoch."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.device.archives import DAMAGED
from edgekit.documents.history import EpochResult
from edgekit.errors import InputError
from edgekit.support.files import atomic_path, temporaries
from edgekit.support.interrupts import is_interrupt
from edgekit.support.os_errors import first_line

Arrays = list[NDArray[Any]]
CallbackState = dict[str, int | float | None]
"""Attributes of a Keras callback that change from epoch to epoch."""


@dataclass
class PhaseState:
    """How far a phase has come. Stored as JSON inside the checkpoint."""

    epochs_run: int = 0
    finished: bool = False
    stopped_early: bool = False
    best_epoch: int = 0
    """Counted from 0."""
    seconds: float = 0.0
    images: int = 0
    """Training images seen in all epochs together."""
    history: list[EpochResult] = field(default_factory=list)
    learning_rate: float | None = None
    """The initial learning rate, if it is lower than that of the recipe."""
    warnings: list[str] = field(default_factory=list)
    early_stopping: CallbackState = field(default_factory=dict)
    reduce_lr: CallbackState = field(default_factory=dict)

    def to_json(self) -> str:
        """The state as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> PhaseState:
        """The state that :meth:`to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "history": [EpochResult(**row) for row in values["history"]]})


class PhaseCheckpoint:
    """The checkpoint file of one phase: its state, the current and the best variables, and the optimizer.

    It holds only variables of trained layers. Frozen ones follow from the recipe or from the previous phase.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        return self.path.is_file()

    def finish(self, network: keras.Model) -> PhaseState | None:
        """Load the weights of a finished phase into ``network``; ``None`` if the phase is not finished."""
        if not self.exists():
            return None
        state, _, best = self.load(None)
        if not state.finished:
            return None
        write_variables(live_variables(network), best)
        return state

    def save(self, state: str, live: Arrays, best: Arrays | None, optimizer: Arrays) -> None:
        """Write everything atomically: the ``state`` as JSON and the values of all variables.

        ``best`` is ``None`` if the current variables are the best. A finished phase needs only the best variables.
        """
        content: dict[str, Any] = {"state": np.array(state)}
        for group, values in (("live", live), ("best", best or []), ("optimizer", optimizer)):
            content |= {f"{group}/{i}": value for i, value in enumerate(values)}
        with atomic_path(self.path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **content)

    def load(self, optimizer: keras.optimizers.Optimizer | None) -> tuple[PhaseState, Arrays, Arrays]:
        """The state, the current and the best variables; loads its own variables into ``optimizer``.

        Raises :class:`InputError` if the file is damaged.
        """
        try:
            return self._load(optimizer)
        except DAMAGED as error:
            if is_interrupt(error):
                raise
            raise InputError(
                f"this checkpoint is damaged: {first_line(error)}",
                where=str(self.path),
                hint="remove the file, then resume the run: it repeats this phase",
            ) from None

    def _load(self, optimizer: keras.optimizers.Optimizer | None) -> tuple[PhaseState, Arrays, Arrays]:
        with np.load(self.path) as content:
            state = PhaseState.from_json(str(content["state"]))
            groups: dict[str, dict[str, NDArray[Any]]] = {"live": {}, "best": {}, "optimizer": {}}
            for key in content.files:
                group, _, name = key.partition("/")
                if group in groups:
                    groups[group][name] = content[key]
        if optimizer is not None and groups["optimizer"]:
            optimizer.load_own_variables(groups["optimizer"])
        live, best = ([g[str(i)] for i in range(len(g))] for g in (groups["live"], groups["best"]))
        return state, live, best or live


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints and features of a finished run, and their folder if nothing else is in it.

    It is no error if the folder does not exist or cannot be removed.
    """
    with contextlib.suppress(OSError):
        phases = [folder / f"{name}.npz" for name in ("feature-extraction", "fine-tuning", "from-scratch")]
        for file in (*phases, *folder.glob("features-*.npy"), *temporaries(folder)):
            file.unlink(missing_ok=True)
        folder.rmdir()


def live_variables(network: keras.Model) -> list[keras.Variable]:
    """Every variable that the present phase can change, in a fixed order (including the seed of Dropout)."""
    return [v for layer in network.layers if layer.trainable for v in layer.variables]


def read_variables(variables: list[keras.Variable]) -> Arrays:
    """The values of Keras variables as NumPy arrays."""
    return [np.array(variable.numpy()) for variable in variables]


def write_variables(variables: list[keras.Variable], values: Arrays) -> None:
    """Assign values to Keras variables."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
