"""Predictions for corrupted images, stored per image, and the figures that follow from them.

``corruptions/<target>/<model>/`` in a run folder holds ``about.json`` and one ``<corruption>.npz`` each (``clean``
too): ``severities`` (S,), ``labels`` (N,), ``files`` (N,), ``probabilities`` float32 (S, N, classes). The model is
``keras`` or the name of an export.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgekit.device.corruptions import CORRUPTIONS, GROUPS, SEVERITIES, SUITE
from edgekit.documents.arrays import check_predictions, read_arrays
from edgekit.documents.base import Document, Part
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError
from edgekit.stats.claims import Verdict
from edgekit.support.files import atomic_path

CLEAN = "clean"
KERAS = "keras"


class CorruptionRecord(Document):
    """``about.json``: which model, images and draws the stored predictions of one model belong to."""

    suite: int | str
    """Version of the corruptions; another version gives other pixels."""
    model_sha256: str
    seed: int
    n_samples: int
    dataset_sha256: str
    decoder: str | None = None


class CorruptedAccuracy(Part):
    """Accuracy under one corruption at one severity; severity 0 is clean."""

    severity: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    """Wilson's interval."""
    ece: float


class ModelUnderCorruption(Part):
    """One model on clean and on corrupted images."""

    target: str
    model: str
    """``keras`` or the name of an export."""
    n_samples: int
    seed: int
    clean: CorruptedAccuracy
    corruptions: dict[str, tuple[CorruptedAccuracy, ...]]
    mean_corruption_error: float | None
    """The error averaged over severities, then over corruptions."""
    relative_corruption_error: float | None
    """The same less the clean error."""
    mean_ece: float | None


class PairUnderCorruption(Part):
    """An exported file against its fp32 counterpart under corruption, paired by image; losses of accuracy, 0 to 1."""

    model: str
    reference: str
    target: str
    n_samples: int
    conditions: int
    clean_loss: float
    corrupted_loss: float
    extra_loss: float
    """How much more accuracy the file loses under corruption than on clean images."""
    extra_loss_ci95: tuple[float, float]
    margin: float
    """An extra loss of at most this much counts as equally robust."""
    verdict: Verdict
    by_corruption: dict[str, float]


class RobustnessSummary(Document):
    """What `edgekit evaluate --corruptions --json` prints: everything that is stored in a run."""

    run_dir: str
    models: tuple[ModelUnderCorruption, ...]
    paired: tuple[PairUnderCorruption, ...]


@dataclass(frozen=True)
class Plan:
    """What to evaluate: corruptions in order, severities, the seed of random corruptions, at most ``images`` images."""

    names: tuple[str, ...]
    severities: tuple[int, ...] = SEVERITIES
    seed: int = 0
    images: int | None = None


def parse_plan(names: str, severities: str, seed: int, images: int | None) -> Plan:
    """A plan from comma-separated names (or groups of them) and numbers; :class:`InputError` with the choices."""
    chosen: list[str] = []
    for name in (part.strip() for part in names.split(",")):
        if name not in GROUPS and name not in CORRUPTIONS:
            raise InputError(
                f"unknown corruption {name!r}",
                hint=f"choose among {', '.join(CORRUPTIONS)}; or groups: {', '.join(GROUPS)}",
            )
        chosen += GROUPS.get(name, (name,))
    try:
        levels = tuple(sorted({int(part) for part in severities.split(",")}))
    except ValueError:
        levels = ()
    if not levels or not set(levels) <= set(SEVERITIES):
        raise InputError(
            f"severities are numbers from 1 to 5, not {severities!r}", hint="for example --severities 1,3,5"
        )
    return Plan(tuple(dict.fromkeys(chosen)), levels, seed, images)


@dataclass(frozen=True)
class Shift:
    """Predictions under one corruption: ``probabilities`` (S, N, classes), one layer for each of ``severities``."""

    severities: tuple[int, ...]
    probabilities: NDArray[np.float32]

    def at(self, severity: int) -> NDArray[np.float32]:
        """``probabilities`` (N, classes) at one severity."""
        return np.asarray(self.probabilities[self.severities.index(severity)])


@dataclass(frozen=True)
class CorruptedPredictions:
    """All stored predictions of one model. ``labels`` (N,), ``files`` (N,); ``shifts`` includes ``clean``."""

    target: str
    key: str
    about: CorruptionRecord
    labels: NDArray[np.int32]
    files: tuple[str, ...]
    shifts: dict[str, Shift]

    @property
    def corruptions(self) -> list[str]:
        return [name for name in CORRUPTIONS if name in self.shifts]

    def correct(self, name: str, severity: int) -> NDArray[np.bool_]:
        """(N,): which images are classified correctly."""
        return np.asarray(self.shifts[name].at(severity).argmax(axis=1) == self.labels)

    def conditions(self) -> list[tuple[str, int]]:
        """Every stored corruption and severity, without ``clean``."""
        return [(name, severity) for name in self.corruptions for severity in self.shifts[name].severities]


class Store:
    """The folder of one model's predictions. Predictions of another model, seed or suite there are replaced."""

    def __init__(self, run: RunFolder, target: str, key: str) -> None:
        self.folder = run.corruptions / target / key
        self._about_file = self.folder / "about.json"

    def open(
        self, *, model_sha256: str, seed: int, n_samples: int, dataset_sha256: str, decoder: str | None = None
    ) -> None:
        """Start, or continue if what is stored belongs to the same model, seed, images and decoder."""
        about = CorruptionRecord(
            suite=SUITE,
            model_sha256=model_sha256,
            seed=seed,
            n_samples=n_samples,
            dataset_sha256=dataset_sha256,
            decoder=decoder,
        )
        if self._about_file.is_file():
            if CorruptionRecord.read(self._about_file) == about:
                return
            for name in (CLEAN, *CORRUPTIONS):
                (self.folder / f"{name}.npz").unlink(missing_ok=True)
        about.write(self._about_file)

    def missing(self, plan: Plan) -> list[str]:
        """``clean`` and the corruptions of the plan that are not stored at all its severities."""
        return [name for name in (CLEAN, *plan.names) if not self._holds(name, plan)]

    def _holds(self, name: str, plan: Plan) -> bool:
        file = self.folder / f"{name}.npz"
        if not file.is_file():
            return False
        try:
            stored = set(read_arrays(file, ("severities",))["severities"].reshape(-1).tolist())
        except InputError:
            return False  # damaged: it is measured again
        return set(severities_of(name, plan)) <= stored

    def write(
        self,
        name: str,
        severities: Sequence[int],
        labels: NDArray[np.integer[Any]],
        files: Iterable[str],
        probabilities: ArrayLike,
    ) -> None:
        """Store ``probabilities`` (S, N, classes) under the corruption ``name``."""
        with atomic_path(self.folder / f"{name}.npz") as temporary, temporary.open("wb") as stream:
            np.savez_compressed(
                stream,
                severities=np.array(severities, np.int32),
                labels=labels,
                files=np.array(list(files)),
                probabilities=np.asarray(probabilities, np.float32),
            )


def severities_of(name: str, plan: Plan) -> tuple[int, ...]:
    """The severities of the plan; ``clean`` has the one severity 0."""
    return (0,) if name == CLEAN else plan.severities


def read_corrupted(run: RunFolder) -> list[CorruptedPredictions]:
    """The stored predictions of every model of the run, the Keras model first.

    Raises :class:`InputError` for damaged files.
    """
    found = []
    for about_file in sorted(run.corruptions.glob("*/*/about.json")):
        predictions = _read(about_file.parent, CorruptionRecord.read(about_file))
        if predictions is not None:
            found.append(predictions)
    return sorted(found, key=lambda predictions: predictions.key != KERAS)


def _read(folder: Path, about: CorruptionRecord) -> CorruptedPredictions | None:
    shifts: dict[str, Shift] = {}
    labels, files = np.empty(0, np.int32), ()
    hint = "remove the file"
    for file in sorted(folder.glob("*.npz")):
        stored = read_arrays(file, ("severities", "labels", "probabilities", "files"), hint=hint)
        severities, probabilities = stored["severities"], stored["probabilities"]
        check_predictions(file, stored["labels"], probabilities, stored["files"], hint=hint)
        if severities.dtype.kind not in "iu" or probabilities.ndim != 3 or severities.shape != probabilities.shape[:1]:
            raise InputError("this file is damaged: its severities do not fit", where=str(file), hint=hint)
        if shifts and (tuple(stored["files"].tolist()) != files or not np.array_equal(stored["labels"], labels)):
            raise InputError("this file is damaged: it belongs to other images", where=str(file), hint=hint)
        shifts[file.stem] = Shift(tuple(severities.tolist()), probabilities)
        labels, files = stored["labels"], tuple(stored["files"].tolist())
    if CLEAN not in shifts:
        return None  # interrupted before the first corruption
    return CorruptedPredictions(folder.parent.name, folder.name, about, labels, files, shifts)
