"""Published figures of the same backbones, marked as such, beside the measured ones."""

from __future__ import annotations

from edgekit.report.model.published import Published
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section


def _view(report: Report) -> Published | None:
    return report.published


SECTION = Section("published", "Published figures", _view)
