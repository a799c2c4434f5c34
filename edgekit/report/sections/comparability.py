"""Which runs can be compared with each other, and which cannot."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.documents.report_findings import Comparability
from edgekit.render.markdown import bullets, escaped
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section


def _view(report: Report) -> Comparability | None:
    return report.comparability


def _markdown(_: Report, found: Comparability) -> Iterator[str]:
    yield bullets(map(escaped, found.sentences))


SECTION = Section("comparability", "What compares", _view, _markdown)
