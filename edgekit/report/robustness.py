"""Corrupted images in the report: one row per kind of model, over all seeds it was trained with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import Any

from markupsafe import Markup

from edgekit.report.figures import severity_curves
from edgekit.report.reading import RunData
from edgekit.report.rows import model_title, strategy_title
from edgekit.robustness import KERAS, figures, pairs


@dataclass(frozen=True)
class ShiftedModel:
    """A Keras model or kind of file on clean and on corrupted images; means over ``seeds``, fractions 0 to 1."""

    title: str
    target: str
    seeds: int
    n_samples: int
    clean: float
    corrupted: float
    deviation: float | None
    """Standard deviation of ``corrupted`` over seeds."""
    relative_error: float
    clean_ece: float
    ece: float
    severities: list[int]
    table: dict[str, list[float | None]]
    """Accuracy by corruption, one figure for each of ``severities``."""

    @property
    def curve(self) -> list[tuple[int, float]]:
        """Mean accuracy over corruptions by severity, 0 being clean."""
        columns = [[row[i] for row in self.table.values()] for i in range(len(self.severities))]
        known = [[value for value in column if value is not None] for column in columns]
        return [(0, self.clean), *((s, mean(values)) for s, values in zip(self.severities, known) if values)]


@dataclass(frozen=True)
class ArmDifference:
    """What one way of training brings against another, seed by seed; differences of accuracy, 0.01 is one point."""

    title: str
    target: str
    arm: str
    reference: str
    clean: list[float]
    corrupted: list[float]

    def interval(self, differences: list[float]) -> tuple[float, float] | None:
        """Student's t 95% interval of the mean over seeds; None for one seed."""
        if len(differences) < 2:
            return None
        from scipy.stats import t

        half = float(t.ppf(0.975, len(differences) - 1)) * stdev(differences) / math.sqrt(len(differences))
        return mean(differences) - half, mean(differences) + half

    @property
    def verdict(self) -> str:
        """Whether the arm is more accurate on corrupted images: *supported*, *refuted* or *undecided*."""
        interval = self.interval(self.corrupted)
        if interval is None:
            return "undecided"
        return "supported" if interval[0] > 0 else "refuted" if interval[1] < 0 else "undecided"

    def document(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "clean_ci95": self.interval(self.clean),
            "corrupted_ci95": self.interval(self.corrupted),
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class Robustness:
    """Everything the report says about corrupted images."""

    models: list[ShiftedModel]
    pairs: list[tuple[str, dict[str, Any]]]
    """Title of the run, and a file against its fp32 twin as :func:`edgekit.robustness.paired` gives it."""
    arms: list[ArmDifference]

    def plots(self) -> tuple[Markup, Markup]:
        """Accuracy against severity, wide and narrow."""
        lines = [(model.title, model.curve) for model in self.models]
        return (
            severity_curves(lines, name="shift-wide", width=760, height=360),
            severity_curves(lines, name="shift-narrow", width=350, height=360),
        )


def robustness(runs: Sequence[RunData]) -> Robustness | None:
    """The section of the report; None where no run was shown corrupted images."""
    kinds: dict[tuple[str, str], list[dict[str, Any]]] = {}
    paired = []
    for run in runs:
        kind = f"{model_title(run.document)}, {strategy_title(run.document)}"
        for answers in run.corrupted:
            if answers.corruptions:
                kinds.setdefault((f"{kind}, {_what(answers.key)}", answers.target), []).append(figures(answers))
        paired += [(f"{kind}, seed {run.document['seed']}", pair) for pair in pairs(run.corrupted)]
    if not kinds:
        return None
    models = [_model(title, target, found) for (title, target), found in kinds.items()]
    return Robustness(models, paired, arm_differences(runs))


def arm_differences(runs: Sequence[RunData]) -> list[ArmDifference]:
    """Every arm against the first one of the study, for the seeds that both have."""
    found: dict[tuple[str, str], dict[str, dict[int, dict[str, Any]]]] = {}
    for run in runs:
        document = run.document
        arm = (document.get("recipe") or {}).get("arm")
        if arm is None:
            continue
        for answers in run.corrupted:
            if answers.corruptions:
                title = f"{model_title(document)}, {document['strategy']}, {_what(answers.key)}"
                by_arm = found.setdefault((title, answers.target), {})
                by_arm.setdefault(str(arm), {})[int(document["seed"])] = figures(answers)
    differences = []
    for (title, target), by_arm in found.items():
        reference, *others = by_arm
        for arm in others:
            pairs_of = [(by_arm[arm][s], by_arm[reference][s]) for s in by_arm[arm] if s in by_arm[reference]]
            # Only where both were shown the same: a mean over other corruptions would be another figure.
            same = [(a, b) for a, b in pairs_of if _conditions(a) == _conditions(b)]
            if same:
                clean = [a["clean"]["accuracy"] - b["clean"]["accuracy"] for a, b in same]
                corrupted = [b["mean_corruption_error"] - a["mean_corruption_error"] for a, b in same]
                differences.append(ArmDifference(title, target, arm, reference, clean, corrupted))
    return differences


def _conditions(document: dict[str, Any]) -> set[tuple[str, int]]:
    return {(name, row["severity"]) for name, rows in document["corruptions"].items() for row in rows}


def _what(key: str) -> str:
    return "Keras" if key == KERAS else key


def _model(title: str, target: str, found: list[dict[str, Any]]) -> ShiftedModel:
    # Only what every seed was shown is averaged: a mean over other corruptions would be another figure.
    shared = [name for name in found[0]["corruptions"] if all(name in one["corruptions"] for one in found)]
    severities = sorted({row["severity"] for one in found for name in shared for row in one["corruptions"][name]})
    errors = [one["mean_corruption_error"] for one in found]

    def cell(name: str, severity: int) -> float | None:
        values = [row["accuracy"] for one in found for row in one["corruptions"][name] if row["severity"] == severity]
        return mean(values) if len(values) == len(found) else None

    return ShiftedModel(
        title=title,
        target=target,
        seeds=len(found),
        n_samples=min(one["n_samples"] for one in found),
        clean=mean(one["clean"]["accuracy"] for one in found),
        corrupted=1 - mean(errors),
        deviation=stdev(errors) if len(errors) > 1 else None,
        relative_error=mean(one["relative_corruption_error"] for one in found),
        clean_ece=mean(one["clean"]["ece"] for one in found),
        ece=mean(one["mean_ece"] for one in found),
        severities=severities,
        table={name: [cell(name, severity) for severity in severities] for name in shared},
    )
