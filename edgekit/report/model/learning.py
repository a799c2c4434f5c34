"""Learning curves over seeds: the runs of one kind of model together, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from edgekit.documents.report_comparisons import CurvePoint, LearningCurve, LearningCurves
from edgekit.report.model.source import RunData
from edgekit.stats.intervals import mean_interval

QUANTITIES = ("accuracy", "loss")


@dataclass(frozen=True)
class Learning:
    """All kinds of model on one axis: a phase begins at the same place for all of them."""

    phases: list[tuple[str, int]]
    """Name, and the number of epochs before it."""
    kinds: list[LearningCurve]

    @property
    def several_seeds(self) -> bool:
        return any(len(kind.seeds) > 1 for kind in self.kinds)

    def document(self) -> LearningCurves:
        return LearningCurves(stages=tuple(self.phases), kinds=tuple(self.kinds))


def learning(runs: Sequence[RunData]) -> Learning | None:
    """The curves of all finished runs; None if fewer than two have any, because a run's own curves are enough."""
    known = [run for run in runs if run.history and run.document.done]
    if len(known) < 2:
        return None
    starts = _starts(known)
    kinds: dict[str, list[RunData]] = {}
    for run in known:
        kinds.setdefault(run.title, []).append(run)
    return Learning(list(starts.items()), [_kind(title, members, starts) for title, members in kinds.items()])


def _starts(runs: Sequence[RunData]) -> dict[str, int]:
    """By phase, in order: the epochs before it, where every phase takes as long as the longest of any run."""
    longest: dict[str, int] = {}
    for run in runs:
        for row in run.history:
            longest[row.stage] = max(longest.get(row.stage, 0), row.epoch)
    # A fine-tuning that started from another run must not come before the feature extraction of the others.
    order = sorted(longest, key=lambda phase: phase == "fine-tuning")
    return {phase: sum(longest[before] for before in order[:i]) for i, phase in enumerate(order)}


def _kind(title: str, runs: Sequence[RunData], starts: dict[str, int]) -> LearningCurve:
    lengths = [len(run.history) for run in runs]
    scores = [run.score.accuracy for run in runs if run.score is not None]
    validation = [run.document.metrics["val"].accuracy for run in runs if "val" in run.document.metrics]
    interval = mean_interval(scores) if len(scores) == len(runs) > 1 else None
    return LearningCurve(
        title=title,
        seeds=tuple(run.seed for run in runs),
        epochs=(min(lengths), max(lengths)),
        curves={
            column: _points(runs, column, starts) for quantity in QUANTITIES for column in (quantity, f"val_{quantity}")
        },
        validation=mean(validation) if len(validation) == len(runs) else None,
        validation_sd=stdev(validation) if len(validation) == len(runs) > 1 else None,
        test=mean(scores) if len(scores) == len(runs) else None,
        test_ci95=None if interval is None else (max(0.0, interval.low), min(1.0, interval.high)),
        overfit=mean(run.history[-1].accuracy - run.history[-1].val_accuracy for run in runs),
        train_seconds=_mean_of_all([run.train_seconds for run in runs]),
    )


def _mean_of_all(values: Sequence[float | None]) -> float | None:
    """None if one is unknown."""
    known = [value for value in values if value is not None]
    return mean(known) if len(known) == len(values) else None


def _points(runs: Sequence[RunData], column: str, starts: dict[str, int]) -> tuple[CurvePoint, ...]:
    """As far as every seed went: where one stopped early, a mean of the others would be one of other networks."""
    values: dict[int, list[float]] = {}
    for run in runs:
        for row in run.history:
            values.setdefault(starts[row.stage] + row.epoch, []).append(getattr(row, column))
    return tuple(
        CurvePoint(epoch=epoch, mean=mean(found), lowest=min(found), highest=max(found))
        for epoch, found in sorted(values.items())
        if len(found) == len(runs)
    )
