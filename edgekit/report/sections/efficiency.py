"""Efficiency: each cost beside that of the most accurate file, and backbones on equal terms."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.report.model.report import Report, TargetReport
from edgekit.report.sections.section import Section


@dataclass(frozen=True)
class EfficiencyView:
    """The targets with at least one scored file; ``energy``: whether any machine measured it."""

    targets: dict[str, TargetReport]
    energy: bool


def _view(report: Report) -> EfficiencyView | None:
    found = {name: target for name, target in report.by_target.items() if target.efficiency}
    return EfficiencyView(found, any(file.joules is not None for file in report.files)) if found else None


SECTION = Section("efficiency", "Efficiency", _view)
