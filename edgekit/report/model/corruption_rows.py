"""Corrupted images in the report: one row per kind of model, over all seeds it was trained with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from edgekit.documents.corruptions import CLEAN, KERAS, CorruptedAccuracy, CorruptedPredictions, ModelUnderCorruption
from edgekit.documents.report_comparisons import RobustnessOfArm, RobustnessOfFile
from edgekit.report.model.corruption_figures import figures, fp32_counterparts
from edgekit.report.model.paired import corrupted_evidence
from edgekit.report.model.source import RunData
from edgekit.stats.claims import UNDECIDED, Evidence, Region, judge
from edgekit.stats.intervals import Interval
from edgekit.stats.robustness import AS_ROBUST, MARGIN


@dataclass(frozen=True)
class CorruptedModel:
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
        """Accuracy under a corruption, mean over severities; None if one is missing."""
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
    """One arm (training variant) against another; differences of accuracy, 0.01 is one point."""

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

    def document(self) -> RobustnessOfArm:
        values = {
            **{name: getattr(self, name) for name in ("title", "target", "arm", "reference", "seeds", "verdict")},
            **_documented("clean", self.clean),
            **_documented("corrupted", self.corrupted),
            "by_corruption": {name: _documented("corrupted", e) for name, e in self.by_corruption.items()},
        }
        return RobustnessOfArm.model_validate(values)


@dataclass(frozen=True)
class FileDifference:
    """What an exported file loses against its fp32 counterpart: on clean images, and in addition under corruption."""

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

    def document(self) -> RobustnessOfFile:
        values = {
            **{name: getattr(self, name) for name in ("title", "target", "model", "reference", "seeds", "verdict")},
            **_documented("clean_loss", self.clean),
            **_documented("corrupted_loss", self.corrupted),
            **_documented("extra_loss", self.more),
            "margin": MARGIN,
        }
        return RobustnessOfFile.model_validate(values)


def interval_of(evidence: Evidence) -> Interval:
    """The 95% interval; evidence from predictions always has one."""
    assert evidence.interval is not None
    return evidence.interval(0.95)


def _documented(name: str, evidence: Evidence) -> dict[str, float | tuple[float, float]]:
    found = interval_of(evidence)
    return {name: evidence.estimate, f"{name}_ci95": (found.low, found.high)}


@dataclass(frozen=True)
class Robustness:
    """The section of the report on corrupted images."""

    models: list[CorruptedModel]
    files: list[FileDifference]
    arms: list[ArmDifference]

    @property
    def common(self) -> str:
        """The common beginning of the titles of all models; empty for a single model."""
        parts = [model.title.split(", ") for model in self.models]
        same = 0
        while len(parts) > 1 and all(len(p) > same + 1 and p[same] == parts[0][same] for p in parts):
            same += 1
        return ", ".join(parts[0][:same])

    def short(self, title: str) -> str:
        """A title without the beginning that all titles have in common."""
        return title.removeprefix(f"{self.common}, ") if self.common else title

    @property
    def one_target(self) -> bool:
        return len({model.target for model in self.models}) == 1

    @property
    def corruptions(self) -> list[str]:
        """Every corruption that any model was evaluated on."""
        return list(dict.fromkeys(name for model in self.models for name in model.table))


def robustness(runs: Sequence[RunData]) -> Robustness | None:
    """The section of the report; None if no run was evaluated on corrupted images."""
    kinds: dict[tuple[str, str], dict[int, CorruptedPredictions]] = {}
    for run in runs:
        for model in run.corrupted:
            if model.corruptions:
                title = f"{run.title}, {_what(model.key)}"
                kinds.setdefault((title, model.target), {}).setdefault(run.seed, model)
    if not kinds:
        return None
    models = [
        row
        for (title, target), by_seed in kinds.items()
        if (row := _model(title, target, [figures(one) for one in by_seed.values()])) is not None
    ]
    if not models:
        return None
    return Robustness(models, file_differences(runs), arm_differences(runs))


def file_differences(runs: Sequence[RunData]) -> list[FileDifference]:
    """Every kind of quantized or compressed file against its fp32 counterpart, over all seeds."""
    found: dict[tuple[str, str, str, str], tuple[dict[int, CorruptedPredictions], dict[int, CorruptedPredictions]]] = {}
    for run in runs:
        for reference, other in fp32_counterparts([model for model in run.corrupted if model.corruptions]):
            sides = found.setdefault((run.title, other.target, other.key, reference.key), ({}, {}))
            for side, predictions in zip(sides, (reference, other)):
                side.setdefault(run.seed, predictions)
    differences = []
    for (title, target, model, reference_key), (fp32, small) in found.items():
        # Lost: the accuracy of the counterpart minus that of the file.
        clean, corrupted = corrupted_evidence(fp32, small, (CLEAN,)), corrupted_evidence(fp32, small)
        more = corrupted_evidence(small, fp32, less_clean=True)
        if clean is not None and corrupted is not None and more is not None:
            kind = (title, target, model, reference_key, len(small))
            differences.append(FileDifference(*kind, clean, corrupted, more))
    return differences


def arm_differences(runs: Sequence[RunData]) -> list[ArmDifference]:
    """Every arm against the first one of the study, for the seeds that both have.

    The first one is the same for every kind of model, also where its first seed lacks a file of that kind.
    """
    order = list(dict.fromkeys(run.arm for run in runs if run.arm is not None))
    found: dict[tuple[str, str], dict[str, dict[int, CorruptedPredictions]]] = {}
    for run in runs:
        if run.arm is None:
            continue
        for model in run.corrupted:
            if model.corruptions:
                title = f"{run.model}, {run.document.strategy}, {_what(model.key)}"
                by_arm = found.setdefault((title, model.target), {})
                by_arm.setdefault(run.arm, {}).setdefault(run.seed, model)
    differences = []
    for (title, target), by_arm in found.items():
        reference, *others = (arm for arm in order if arm in by_arm)
        for arm in others:
            seeds = [seed for seed in by_arm[arm] if seed in by_arm[reference]]
            sides = [{seed: by_arm[name][seed] for seed in seeds} for name in (arm, reference)]
            difference = _arm_difference((title, target, arm, reference, len(seeds)), *sides)
            differences += [] if difference is None else [difference]
    return differences


def _arm_difference(
    kind: tuple[str, str, str, str, int], left: dict[int, CorruptedPredictions], right: dict[int, CorruptedPredictions]
) -> ArmDifference | None:
    clean, corrupted = corrupted_evidence(left, right, (CLEAN,)), corrupted_evidence(left, right)
    if clean is None or corrupted is None:
        return None
    each = {name: corrupted_evidence(left, right, (name,)) for name in next(iter(left.values())).corruptions}
    known = {name: evidence for name, evidence in each.items() if evidence is not None}
    return ArmDifference(*kind, clean, corrupted, known)


def _what(key: str) -> str:
    return "Keras" if key == KERAS else key


def _model(title: str, target: str, found: list[ModelUnderCorruption]) -> CorruptedModel | None:
    """The mean over seeds of one kind of model; None where its seeds share no corruption."""
    # Only corruptions that every seed was evaluated on are averaged: others would give a mean of something else.
    shared = [name for name in found[0].corruptions if all(name in one.corruptions for one in found)]
    if not shared:
        return None
    severities = sorted({row.severity for one in found for name in shared for row in one.corruptions[name]})
    errors = [_mean_of(one, shared, lambda row: 1 - row.accuracy) for one in found]

    def cell(name: str, severity: int) -> float | None:
        values = [row.accuracy for one in found for row in one.corruptions[name] if row.severity == severity]
        return mean(values) if len(values) == len(found) else None

    return CorruptedModel(
        title=title,
        target=target,
        seeds=len(found),
        n_samples=min(one.n_samples for one in found),
        clean=mean(one.clean.accuracy for one in found),
        corrupted=1 - mean(errors),
        deviation=stdev(errors) if len(errors) > 1 else None,
        relative_error=mean(error - (1 - one.clean.accuracy) for error, one in zip(errors, found)),
        clean_ece=mean(one.clean.ece for one in found),
        ece=mean(_mean_of(one, shared, lambda row: row.ece) for one in found),
        severities=severities,
        table={name: [cell(name, severity) for severity in severities] for name in shared},
        calibration={name: mean(row.ece for one in found for row in one.corruptions[name]) for name in shared},
    )


def _mean_of(model: ModelUnderCorruption, names: Sequence[str], of: Callable[[CorruptedAccuracy], float]) -> float:
    """The mean over corruptions ``names`` of the mean over severities."""
    return mean(mean(of(row) for row in model.corruptions[name]) for name in names)
