"""What corrupted images do to a model: answers stored per image, figures computed when they are read.

``corruptions/<target>/<model>/`` in a run folder holds ``about.json`` and one ``<corruption>.npz`` each (``clean``
too): ``severities`` (S,), ``labels`` (N,), ``files`` (N,), ``probabilities`` float32 (S, N, classes). The model is
``keras`` or the name of an export.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.artifacts import RunFolder, atomic_path, read_json, write_json
from edgekit.device.corruptions import CORRUPTIONS, GROUPS, SEVERITIES, SUITE
from edgekit.errors import InputError

CLEAN = "clean"
KERAS = "keras"
MARGIN = 0.01
"""A file that loses at most this much more accuracy than its fp32 twin under corruption is as robust."""


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


def figures(answers: Answers) -> dict[str, Any]:
    """Accuracy and calibration of one model, clean and under each corruption and severity, JSON-ready.

    ``mean_corruption_error`` is the error averaged over severities, then over corruptions (Hendrycks and Dietterich
    2019, without the division by another network's); ``relative_corruption_error`` the same less the clean error.
    """
    from edgekit.metrics import expected_calibration_error
    from edgekit.stats import wilson_interval

    n_images = len(answers.labels)

    def entry(name: str, severity: int) -> dict[str, Any]:
        right = int(answers.correct(name, severity).sum())
        shift = answers.shifts[name]
        probabilities = shift.probabilities[shift.severities.index(severity)]
        return {
            "severity": severity,
            "accuracy": right / n_images,
            "accuracy_ci95": list(wilson_interval(right, n_images)),
            "ece": expected_calibration_error(answers.labels, probabilities),
        }

    under = {
        name: [entry(name, severity) for severity in answers.shifts[name].severities] for name in answers.corruptions
    }
    clean = entry(CLEAN, 0)
    means = [np.mean([1 - one["accuracy"] for one in entries]) for entries in under.values()]
    calibration = [np.mean([one["ece"] for one in entries]) for entries in under.values()]
    error = float(np.mean(means)) if means else None
    return {
        "target": answers.target,
        "model": answers.key,
        "n_samples": n_images,
        "seed": answers.about["seed"],
        "clean": clean,
        "corruptions": under,
        "mean_corruption_error": error,
        "relative_corruption_error": None if error is None else error - (1 - clean["accuracy"]),
        "mean_ece": float(np.mean(calibration)) if calibration else None,
    }


def paired(reference: Answers, other: Answers) -> dict[str, Any] | None:
    """``other`` against ``reference`` on the same images under the same corruptions; None where they share none.

    ``extra_loss`` is how much more accuracy ``other`` loses under corruption than on clean images, per image and then
    over images (an image counts once, however often it is shown). Its 95% interval is the adjusted one of Bonett and
    Price 2012, as for two proportions: one image is added that loses everything and one that wins everything, so that
    a few images without a difference prove nothing. ``verdict`` judges "as robust as": *supported* where the interval
    stays below :data:`MARGIN`, *refuted* where it lies above it.
    """
    conditions = [c for c in reference.conditions() if c in other.conditions()]
    place = {file: i for i, file in enumerate(other.files)}
    mine = np.array([i for i, file in enumerate(reference.files) if file in place], np.int64)
    if not conditions or len(mine) < 2:
        return None
    theirs = np.array([place[reference.files[i]] for i in mine])

    def lost(name: str, severity: int) -> NDArray[np.float64]:
        before = reference.correct(name, severity)[mine].astype(np.float64)
        return np.asarray(before - other.correct(name, severity)[theirs])

    clean = lost(CLEAN, 0)
    each = {condition: lost(*condition) for condition in conditions}
    extra = np.mean(list(each.values()), axis=0) - clean
    adjusted = np.append(extra, [1.0, -1.0])
    half = NormalDist().inv_cdf(0.975) * adjusted.std() / np.sqrt(len(adjusted))
    low, high = float(adjusted.mean() - half), float(adjusted.mean() + half)
    return {
        "model": other.key,
        "reference": reference.key,
        "target": other.target,
        "n_samples": len(mine),
        "conditions": len(conditions),
        "clean_loss": float(clean.mean()),
        "corrupted_loss": float(np.mean([one.mean() for one in each.values()])),
        "extra_loss": float(extra.mean()),
        "extra_loss_ci95": [low, high],
        "margin": MARGIN,
        "verdict": "supported" if high <= MARGIN else "refuted" if low > MARGIN else "undecided",
        "by_corruption": {
            name: float(np.mean([each[c].mean() for c in conditions if c[0] == name]))
            for name in dict.fromkeys(c[0] for c in conditions)
        },
    }


def twins(models: Sequence[Answers]) -> list[tuple[Answers, Answers]]:
    """Every file with smaller numbers, behind the fp32 file of its format, or the Keras model where there is none."""
    by_key = {(answers.target, answers.key): answers for answers in models}
    keras = next((answers for answers in models if answers.key == KERAS), None)
    found = []
    for answers in models:
        file_format, _, scheme = answers.key.partition("-")
        reference = by_key.get((answers.target, f"{file_format}-fp32"), keras)
        if scheme not in ("", "fp32") and reference is not None:
            found.append((reference, answers))
    return found


def pairs(models: Sequence[Answers]) -> list[dict[str, Any]]:
    """What :func:`paired` says of all :func:`twins`."""
    found = [paired(reference, other) for reference, other in twins(models)]
    return [pair for pair in found if pair is not None]


def robustness_document(run: RunFolder) -> dict[str, Any]:
    """Everything that is stored in a run, as ``edgekit evaluate --corruptions --json`` and the report give it."""
    models = read_answers(run)
    return {"models": [figures(answers) for answers in models], "paired": pairs(models)}
