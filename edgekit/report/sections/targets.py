"""What targets report besides latency: agreement with the host, energy, conditions, sustained runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from edgekit.report.figures.charts import latency_over_time
from edgekit.report.model.report import Report
from edgekit.report.model.target_facts import SLICES, TargetFacts, target_facts
from edgekit.report.sections.section import Plot, Section


@dataclass(frozen=True)
class SustainedView:
    """The sustained runs on one target."""

    target: str
    rows: list[TargetFacts]
    plot: Plot


@dataclass(frozen=True)
class TargetsView:
    """Every measured file, and the sustained runs of each target."""

    rows: list[TargetFacts]
    sustained: list[SustainedView]
    slices: int = SLICES

    @property
    def meters(self) -> list[str]:
        """Sources of the energy."""
        return list(dict.fromkeys(row.energy.source for row in self.rows if row.energy is not None))


def _view(report: Report) -> TargetsView | None:
    rows = target_facts(report.files)
    return TargetsView(rows, list(_sustained(rows))) if rows else None


def _sustained(rows: Sequence[TargetFacts]) -> Iterator[SustainedView]:
    ran = [row for row in rows if row.sustained is not None]
    for n, target in enumerate(dict.fromkeys(str(row.file.target) for row in ran), 1):
        own = [row for row in ran if row.file.target == target]
        lines = [(f"{row.file.number}: {row.file.title}", _seconds(row)) for row in own]
        wide, narrow = (
            latency_over_time(lines, name=f"sustained-{n}-{kind}", width=width, height=300)
            for kind, width in (("wide", 560), ("narrow", 350))
        )
        yield SustainedView(target, own, Plot("p50 of each second of the sustained run", wide, narrow))


def _seconds(row: TargetFacts) -> list[tuple[float, float]]:
    """Second of the run, and the p50 in milliseconds at that time."""
    bench = row.file.bench
    if bench is None or bench.sustained is None:
        return []
    return [(window.start_s, median(window.ns) / 1e6) for window in bench.sustained.windows]


SECTION = Section("targets", "Targets", _view)
