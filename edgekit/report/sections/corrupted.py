"""Accuracy on corrupted images: every model, training variants, and each file against its fp32 counterpart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.render.markdown import escaped, table
from edgekit.render.numbers import number, percent, points
from edgekit.report.figures.charts import severity_curves
from edgekit.report.model.corruption_rows import Robustness, interval_of
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Plot, Section
from edgekit.stats.claims import Evidence
from edgekit.stats.intervals import Interval
from edgekit.stats.robustness import MARGIN


@dataclass(frozen=True)
class CorruptedView:
    """Everything the report says about corrupted images, and accuracy against severity."""

    robustness: Robustness
    plot: Plot
    margin: float = MARGIN

    def interval(self, evidence: Evidence) -> Interval:
        return interval_of(evidence)


def _view(report: Report) -> CorruptedView | None:
    shift = report.robustness
    if shift is None:
        return None
    lines = [(shift.short(model.title), model.curve) for model in shift.models]
    wide, narrow = (
        severity_curves(lines, name=f"corrupted-{name}", width=width, height=360)
        for name, width in (("wide", 760), ("narrow", 350))
    )
    return CorruptedView(shift, Plot("Accuracy by severity, mean over corruptions; 0 is clean", wide, narrow))


def _markdown(_: Report, view: CorruptedView) -> Iterator[str]:
    rows = []
    for s in view.robustness.models:
        shares = [percent(value) for value in (s.clean, s.corrupted, s.relative_error)]
        rows.append([s.title, s.target, str(s.seeds), *shares, number(s.clean_ece, 3), number(s.ece, 3)])
    headers = ["model", "target", "seeds", "clean, %", "corrupted, %", "lost, points", "ECE clean", "ECE corrupted"]
    yield table(headers, rows)
    for arm in view.robustness.arms:
        gain = f"{arm.arm} minus {arm.reference} on corrupted images: {_points(arm.corrupted)}"
        yield escaped(f"{arm.title}: {gain}. More accurate: {arm.verdict}.")
    for file in view.robustness.files:
        loss = f"additional loss of {file.model} under corruption compared with {file.reference}: {_points(file.more)}"
        yield escaped(f"{file.title}: {loss}. As robust: {file.verdict}.")


def _points(evidence: Evidence) -> str:
    found = interval_of(evidence)
    return f"{points(found.estimate)} points (95% interval {points(found.low)} to {points(found.high)})"


SECTION = Section("corrupted", "Corrupted images", _view, _markdown)
