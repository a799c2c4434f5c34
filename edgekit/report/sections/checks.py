"""The checks of every exported file: parity, accuracy gate, operators, converter, hash."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section, number_heading


@dataclass(frozen=True)
class ChecksView:
    """What the table needs beside the report."""

    number_heading: str


def _view(report: Report) -> ChecksView:
    return ChecksView(number_heading(report))


SECTION = Section("checks", "Checks", _view)
