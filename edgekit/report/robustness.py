"""Corrupted images in the report: one row per kind of model, over all seeds it was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
class Robustness:
    """Everything the report says about corrupted images."""

    models: list[ShiftedModel]
    pairs: list[tuple[str, dict[str, Any]]]
    """Title of the run, and a file against its fp32 twin as :func:`edgekit.robustness.paired` gives it."""

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
                what = "Keras" if answers.key == KERAS else answers.key
                kinds.setdefault((f"{kind}, {what}", answers.target), []).append(figures(answers))
        paired += [(f"{kind}, seed {run.document['seed']}", pair) for pair in pairs(run.corrupted)]
    if not kinds:
        return None
    return Robustness([_model(title, target, found) for (title, target), found in kinds.items()], paired)


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
