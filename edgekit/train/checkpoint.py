"""What an interrupted run needs to go on: one file per stage, replaced whole after every epoch."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.support.files import atomic_path, temporaries

Arrays = list[NDArray[Any]]


@dataclass
class StageState:
    """How far a stage has come; plain values, stored as JSON inside the checkpoint."""

    epochs_run: int = 0
    finished: bool = False
    stopped_early: bool = False
    best_epoch: int = 0
    seconds: float = 0.0
    images: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    early_stopping: dict[str, Any] = field(default_factory=dict)
    reduce_lr: dict[str, Any] = field(default_factory=dict)


class StageCheckpoint:
    """The checkpoint file of one stage: state, trained variables, best variables, optimizer.

    Only variables of trained layers are stored; frozen ones follow from the recipe or from the stage before.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        return self.path.is_file()

    def finish(self, network: keras.Model) -> StageState | None:
        """Put the weights of a finished stage into ``network``; ``None`` where the stage is not finished."""
        if not self.exists():
            return None
        state, _, best = self.load(None)
        if not state.finished:
            return None
        write_variables(live_variables(network), best)
        return state

    def save(self, state: StageState, live: Arrays, best: Arrays, optimizer: keras.optimizers.Optimizer | None) -> None:
        """Write everything atomically. A finished stage needs no optimizer."""
        content: dict[str, Any] = {"state": np.array(json.dumps(asdict(state)))}
        content |= {f"live/{i}": value for i, value in enumerate(live)}
        content |= {f"best/{i}": value for i, value in enumerate(best)}
        if optimizer is not None:
            store: dict[str, Any] = {}
            optimizer.save_own_variables(store)
            content |= {f"optimizer/{key}": np.asarray(value) for key, value in store.items()}
        with atomic_path(self.path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **content)

    def load(self, optimizer: keras.optimizers.Optimizer | None) -> tuple[StageState, Arrays, Arrays]:
        """State, live and best variables; the optimizer's variables are put in place."""
        with np.load(self.path) as content:
            state = StageState(**json.loads(str(content["state"])))
            groups: dict[str, dict[str, NDArray[Any]]] = {"live": {}, "best": {}, "optimizer": {}}
            for key in content.files:
                group, _, name = key.partition("/")
                if group in groups:
                    groups[group][name] = content[key]
        if optimizer is not None and groups["optimizer"]:
            optimizer.load_own_variables(groups["optimizer"])
        live, best = ([g[str(i)] for i in range(len(g))] for g in (groups["live"], groups["best"]))
        return state, live, best


def remove_checkpoints(folder: Path) -> None:
    """Training is done: remove the checkpoints and features of its stages, and the folder where nothing else is in it.

    The folder may be gone, or not be removable; the run is done all the same.
    """
    with contextlib.suppress(OSError):
        stages = [folder / f"{name}.npz" for name in ("feature-extraction", "fine-tuning", "from-scratch")]
        for file in (*stages, *folder.glob("features-*.npy"), *temporaries(folder)):
            file.unlink(missing_ok=True)
        folder.rmdir()


def live_variables(network: keras.Model) -> list[Any]:
    """Every variable that this stage of training can change, in a fixed order (Dropout's seed included)."""
    return [v for layer in network.layers if layer.trainable for v in layer.variables]


def read_variables(variables: list[Any]) -> Arrays:
    """The values of Keras variables as NumPy arrays."""
    return [np.array(keras.ops.convert_to_numpy(v.value)) for v in variables]


def write_variables(variables: list[Any], values: Arrays) -> None:
    """Put values into Keras variables."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
