"""The fastest settings that `edgekit bench --tune` found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.documents.tuning import TuningRecord
from edgekit.render.markdown import escaped, table
from edgekit.render.numbers import NONE, ratio
from edgekit.render.setting import setting_text
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section

HEADINGS = ("#", "Exported file", "Setting", "Latency, default = 1 [95%]", "Verdict")

NOTE = (
    "The setting is the fastest of a search over threads, pinning and options of the runtime, with the same "
    "predictions as the default (all cores, no options). It was measured again in new processes, interleaved with the "
    "default, and the ratio is that of this confirmation. Only a setting whose verdict is faster replaces the default."
)


@dataclass(frozen=True)
class TuningView:
    rows: list[list[str]]
    note: str = NOTE
    headings: tuple[str, ...] = HEADINGS


def _view(report: Report) -> TuningView | None:
    rows = []
    for file in report.files:
        tuning = None if file.bench is None else file.bench.tuning
        if tuning is not None:
            where = f" on {file.target}" * report.several_targets
            rows.append([str(file.number), f"{file.title}{where}", *_cells(tuning)])
    return TuningView(rows) if rows else None


def _cells(tuning: TuningRecord) -> list[str]:
    confirmed = tuning.confirmed()
    times = NONE
    if confirmed is not None:
        found = confirmed.ratio
        times = ratio(found.ratio, found.low, found.high)
    return [setting_text(tuning.found or tuning.default), times, tuning.verdict]


def _markdown(_: Report, view: TuningView) -> Iterator[str]:
    yield view.note
    yield table(list(view.headings), [[escaped(cell) for cell in row] for row in view.rows])


SECTION = Section("tuning", "Fastest settings", _view, _markdown)
