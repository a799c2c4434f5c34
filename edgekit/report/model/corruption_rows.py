"""Corrupted images in the report: one row per kind of model, over all seeds it was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from markupsafe import Markup

from edgekit.documents.corruptions import CLEAN, KERAS, CorruptedPredictions, ModelUnderCorruption
from edgekit.report.model.corruption_figures import figures, fp32_counterparts
from edgekit.report.model.paired import shifted_evidence
from edgekit.report.model.reading import RunData
from edgekit.report.model.rows import model_title, strategy_title
from edgekit.report.render.figures import severity_curves
from edgekit.stats.claims import UNDECIDED, Evidence, Region, judge
from edgekit.stats.intervals import Interval
from edgekit.stats.robustness import AS_ROBUST, MARGIN


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
    calibration: dict[str, float]
    """Expected calibration error by corruption, mean over severities."""

    def mean_of(self, name: str) -> float | None:
        """Accuracy under a corruption, mean over severities; None where one is lacking."""
        values = self.table.get(name, [None])
        return None if None in values else mean(value for value in values if value is not None)

    @property
    def curve(self) -> list[tuple[int, float]]:
        """Mean accuracy over corruptions by severity, 0 being clean."""
        columns = [[row[i] for row in self.table.values()] for i in range(len(self.severities))]
        known = [[value for value in column if value is not None] for column in columns]
        return [(0, self.clean), *((s, mean(values)) for s, values in zip(self.severities, known) if values)]


@dataclass(frozen=True)
class ArmDifference:
    """What one way of training brings against another; differences of accuracy, 0.01 is one point."""

    title: str
    target: str
    arm: str
    reference: str
    seeds: int
    clean: Evidence
    corrupted: Evidence
    by_corruption: dict[str, Evidence]

    @property
    def verdict(self) -> str:
        """Whether the arm is more accurate on corrupted images; one seed decides nothing."""
        return UNDECIDED if self.seeds < 2 else judge([self.corrupted], Region.of("above", 0.0))[0]

    def document(self) -> dict[str, Any]:
        names = ("title", "target", "arm", "reference", "seeds", "verdict")
        return {
            **{name: getattr(self, name) for name in names},
            **_documented("clean", self.clean),
            **_documented("corrupted", self.corrupted),
            "by_corruption": {name: _documented("corrupted", e) for name, e in self.by_corruption.items()},
        }


@dataclass(frozen=True)
class FileDifference:
    """What a file with smaller numbers loses against its fp32 twin, on clean images and more under corruption."""

    title: str
    target: str
    model: str
    reference: str
    seeds: int
    clean: Evidence
    corrupted: Evidence
    more: Evidence
    """The difference of the two."""

    @property
    def verdict(self) -> str:
        """Whether it is as robust: at most ``MARGIN`` more accuracy is lost under corruption."""
        return judge([self.more], AS_ROBUST)[0]

    def document(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in ("title", "target", "model", "reference", "seeds", "verdict")},
            **_documented("clean_loss", self.clean),
            **_documented("corrupted_loss", self.corrupted),
            **_documented("extra_loss", self.more),
            "margin": MARGIN,
        }


def interval_of(evidence: Evidence) -> Interval:
    """The 95% interval; evidence from answers always has one."""
    assert evidence.interval is not None
    return evidence.interval(0.95)


def _documented(name: str, evidence: Evidence) -> dict[str, Any]:
    found = interval_of(evidence)
    return {name: evidence.estimate, f"{name}_ci95": [found.low, found.high]}


@dataclass(frozen=True)
class Robustness:
    """Everything the report says about corrupted images."""

    models: list[ShiftedModel]
    files: list[FileDifference]
    arms: list[ArmDifference]

    def plots(self) -> tuple[Markup, Markup]:
        """Accuracy against severity, wide and narrow."""
        lines = [(self.short(model.title), model.curve) for model in self.models]
        return (
            severity_curves(lines, name="shift-wide", width=760, height=360),
            severity_curves(lines, name="shift-narrow", width=350, height=360),
        )

    @property
    def common(self) -> str:
        """What the titles of all models begin with; empty for a single model."""
        parts = [model.title.split(", ") for model in self.models]
        same = 0
        while len(parts) > 1 and all(len(p) > same + 1 and p[same] == parts[0][same] for p in parts):
            same += 1
        return ", ".join(parts[0][:same])

    def short(self, title: str) -> str:
        """A title without what all have in common, nor the target where all were shown the images on one."""
        return title.removeprefix(f"{self.common}, ") if self.common else title

    @property
    def one_target(self) -> bool:
        return len({model.target for model in self.models}) == 1

    @property
    def corruptions(self) -> list[str]:
        """All that any model was shown."""
        return list(dict.fromkeys(name for model in self.models for name in model.table))


Kinds = dict[tuple[str, str], dict[int, CorruptedPredictions]]
"""By title and target of a kind of model, then by seed: its answers to corrupted images."""


def robustness(runs: Sequence[RunData]) -> Robustness | None:
    """The section of the report; None where no run was shown corrupted images."""
    kinds: Kinds = {}
    for run in runs:
        for answers in run.corrupted:
            if answers.corruptions:
                title = f"{_kind(run)}, {_what(answers.key)}"
                kinds.setdefault((title, answers.target), {}).setdefault(int(run.document["seed"]), answers)
    if not kinds:
        return None
    models = [
        _model(title, target, [figures(answers) for answers in by_seed.values()])
        for (title, target), by_seed in kinds.items()
    ]
    return Robustness(models, file_differences(runs), arm_differences(runs))


def file_differences(runs: Sequence[RunData]) -> list[FileDifference]:
    """Every kind of file with smaller numbers against its fp32 twin, over all seeds."""
    found: dict[tuple[str, str, str, str], tuple[dict[int, CorruptedPredictions], dict[int, CorruptedPredictions]]] = {}
    for run in runs:
        for reference, other in fp32_counterparts([answers for answers in run.corrupted if answers.corruptions]):
            sides = found.setdefault((_kind(run), other.target, other.key, reference.key), ({}, {}))
            for side, answers in zip(sides, (reference, other)):
                side.setdefault(int(run.document["seed"]), answers)
    differences = []
    for (title, target, model, reference_key), (fp32, small) in found.items():
        # Lost: the twin's accuracy less the file's.
        clean, corrupted = shifted_evidence(fp32, small, (CLEAN,)), shifted_evidence(fp32, small)
        more = shifted_evidence(small, fp32, less_clean=True)
        if clean is not None and corrupted is not None and more is not None:
            kind = (title, target, model, reference_key, len(small))
            differences.append(FileDifference(*kind, clean, corrupted, more))
    return differences


def arm_differences(runs: Sequence[RunData]) -> list[ArmDifference]:
    """Every arm against the first one of the study, for the seeds that both have."""
    found: dict[tuple[str, str], dict[str, dict[int, CorruptedPredictions]]] = {}
    for run in runs:
        arm = (run.document.get("recipe") or {}).get("arm")
        for answers in run.corrupted if arm is not None else ():
            if answers.corruptions:
                title = f"{model_title(run.document)}, {run.document['strategy']}, {_what(answers.key)}"
                by_arm = found.setdefault((title, answers.target), {})
                by_arm.setdefault(str(arm), {}).setdefault(int(run.document["seed"]), answers)
    differences = []
    for (title, target), by_arm in found.items():
        reference, *others = by_arm
        for arm in others:
            seeds = [seed for seed in by_arm[arm] if seed in by_arm[reference]]
            sides = [{seed: by_arm[name][seed] for seed in seeds} for name in (arm, reference)]
            difference = _arm_difference((title, target, arm, reference, len(seeds)), *sides)
            differences += [] if difference is None else [difference]
    return differences


def _arm_difference(
    kind: tuple[str, str, str, str, int], left: dict[int, CorruptedPredictions], right: dict[int, CorruptedPredictions]
) -> ArmDifference | None:
    clean, corrupted = shifted_evidence(left, right, (CLEAN,)), shifted_evidence(left, right)
    if clean is None or corrupted is None:
        return None
    each = {name: shifted_evidence(left, right, (name,)) for name in next(iter(left.values())).corruptions}
    known = {name: evidence for name, evidence in each.items() if evidence is not None}
    return ArmDifference(*kind, clean, corrupted, known)


def _kind(run: RunData) -> str:
    return f"{model_title(run.document)}, {strategy_title(run.document)}"


def _what(key: str) -> str:
    return "Keras" if key == KERAS else key


def _model(title: str, target: str, found: list[ModelUnderCorruption]) -> ShiftedModel:
    # Only what every seed was shown is averaged: a mean over other corruptions would be another figure.
    shared = [name for name in found[0].corruptions if all(name in one.corruptions for one in found)]
    severities = sorted({row.severity for one in found for name in shared for row in one.corruptions[name]})
    errors = [one.mean_corruption_error or 0.0 for one in found]

    def cell(name: str, severity: int) -> float | None:
        values = [row.accuracy for one in found for row in one.corruptions[name] if row.severity == severity]
        return mean(values) if len(values) == len(found) else None

    return ShiftedModel(
        title=title,
        target=target,
        seeds=len(found),
        n_samples=min(one.n_samples for one in found),
        clean=mean(one.clean.accuracy for one in found),
        corrupted=1 - mean(errors),
        deviation=stdev(errors) if len(errors) > 1 else None,
        relative_error=mean(one.relative_corruption_error or 0.0 for one in found),
        clean_ece=mean(one.clean.ece for one in found),
        ece=mean(one.mean_ece or 0.0 for one in found),
        severities=severities,
        table={name: [cell(name, severity) for severity in severities] for name in shared},
        calibration={name: mean(row.ece for one in found for row in one.corruptions[name]) for name in shared},
    )
