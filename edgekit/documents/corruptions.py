"""What corrupted images do to a model: answers stored per image, figures computed when they are read.

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
from numpy.typing import NDArray

from edgekit.device.corruptions import CORRUPTIONS, GROUPS, SEVERITIES, SUITE
from edgekit.documents.base import Document, read_json, write_json
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError
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


@dataclass(frozen=True)
class Plan:
    """What is asked for: corruptions in their order, severities, the seed of what is random, at most ``images``."""

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
                f"no corruption is called {name!r}",
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
    """Answers under one corruption: ``probabilities`` (S, N, classes), one layer for each of ``severities``."""

    severities: tuple[int, ...]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class Answers:
    """All stored answers of one model. ``labels`` (N,), ``files`` (N,); ``shifts`` has ``clean`` among its names."""

    target: str
    key: str
    about: dict[str, Any]
    labels: NDArray[np.int32]
    files: tuple[str, ...]
    shifts: dict[str, Shift]

    @property
    def corruptions(self) -> list[str]:
        return [name for name in CORRUPTIONS if name in self.shifts]

    def correct(self, name: str, severity: int) -> NDArray[np.bool_]:
        """(N,): which images are classified rightly."""
        shift = self.shifts[name]
        answers = shift.probabilities[shift.severities.index(severity)]
        return np.asarray(answers.argmax(axis=1) == self.labels)

    def conditions(self) -> list[tuple[str, int]]:
        """Every stored corruption and severity, without ``clean``."""
        return [(name, severity) for name in self.corruptions for severity in self.shifts[name].severities]


class Store:
    """The folder of one model's answers; what another model, seed or suite left there is measured anew."""

    def __init__(self, run: RunFolder, target: str, key: str) -> None:
        self.folder = run.corruptions / target / key
        self._about_file = self.folder / "about.json"

    def open(self, about: dict[str, Any]) -> None:
        """Begin, or go on where ``about`` (model, seed, images, decoder) is what is stored."""
        about = {"suite": SUITE, **about}
        if self._about_file.is_file():
            stored = read_json(self._about_file)
            if all(stored.get(name) == value for name, value in about.items()):
                return
            for name in (CLEAN, *CORRUPTIONS):
                (self.folder / f"{name}.npz").unlink(missing_ok=True)
        write_json(self._about_file, about)

    def missing(self, plan: Plan) -> list[str]:
        """``clean`` and the corruptions of the plan that are not stored in all its severities."""
        return [name for name in (CLEAN, *plan.names) if not self._holds(name, plan)]

    def _holds(self, name: str, plan: Plan) -> bool:
        file = self.folder / f"{name}.npz"
        if not file.is_file():
            return False
        with np.load(file) as stored:
            return set(severities_of(name, plan)) <= set(stored["severities"].tolist())

    def write(
        self, name: str, severities: Sequence[int], labels: NDArray[Any], files: Iterable[str], probabilities: Any
    ) -> None:
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


def read_answers(run: RunFolder) -> list[Answers]:
    """Every model of the run with stored answers, the Keras model first; :class:`InputError` for damaged files."""
    found = []
    for about_file in sorted(run.corruptions.glob("*/*/about.json")):
        folder = about_file.parent
        answers = _read(folder, read_json(about_file))
        if answers is not None:
            found.append(answers)
    return sorted(found, key=lambda answers: answers.key != KERAS)


def _read(folder: Path, about: dict[str, Any]) -> Answers | None:
    shifts, labels, files = {}, np.empty(0, np.int32), ()
    for file in sorted(folder.glob("*.npz")):
        try:
            with np.load(file) as stored:
                shifts[file.stem] = Shift(tuple(stored["severities"].tolist()), stored["probabilities"])
                labels, files = stored["labels"], tuple(stored["files"].tolist())
        except (KeyError, ValueError, OSError) as error:
            raise InputError(f"these answers cannot be read: {error}", where=str(file), hint="remove it") from None
    if CLEAN not in shifts:
        return None  # interrupted before the first corruption
    return Answers(folder.parent.name, folder.name, about, labels, files, shifts)
