"""Latency in detail: percentiles, load, first run, preprocessing."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.documents.report_rows import ValidityFlag
from edgekit.report.model.exported_files import ExportedFile, Timing
from edgekit.report.model.report import Report
from edgekit.report.model.validity import violated
from edgekit.report.sections.section import Section, number_heading
from edgekit.stats.latency import PERCENTILE_MIN_RUNS


@dataclass(frozen=True)
class LatencyView:
    """What the table needs beside the report."""

    number_heading: str
    report: Report

    def violated(self, file: ExportedFile, timing: Timing) -> list[ValidityFlag]:
        """The validity flags that do not hold."""
        return violated(self.report.validity(file, timing.threads))

    @property
    def needed(self) -> str:
        """``p50 needs 11, p90 64, ...``: how many runs a percentile needs."""
        first, *others = PERCENTILE_MIN_RUNS.items()
        return ", ".join([f"p{first[0]} needs {first[1]}", *(f"p{p} {runs}" for p, runs in others)])


def _view(report: Report) -> LatencyView:
    return LatencyView(number_heading(report), report)


SECTION = Section("latency", "Latency in detail", _view)
