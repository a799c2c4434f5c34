"""Operator profiles: where the time of an inference goes."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.documents.profile import DELEGATE
from edgekit.report.model.operator_profiles import ProfiledFile, profiled_files
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section


@dataclass(frozen=True)
class OperatorsView:
    """The profiled files."""

    files: list[ProfiledFile]
    delegate: str = DELEGATE


def _view(report: Report) -> OperatorsView | None:
    found = profiled_files(report.files)
    return OperatorsView(found) if found else None


SECTION = Section("operators", "Operator profiles", _view)
