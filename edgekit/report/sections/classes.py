"""Where exported files differ, class by class."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.render.markdown import bullets, escaped
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section


def _view(report: Report) -> Report | None:
    return report if report.classes else None


def _markdown(report: Report, _: Report) -> Iterator[str]:
    yield bullets(escaped(f"{pair.left.title} against {pair.right.title}: {pair.sentence}.") for pair in report.classes)


SECTION = Section("classes", "Differences by class", _view, _markdown)
