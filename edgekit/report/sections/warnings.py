"""Warnings of training, export and bench."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.render.markdown import bullets, escaped
from edgekit.render.text import capitalized, listing
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section, whole_report


def _markdown(report: Report, _: Report) -> Iterator[str]:
    if not report.warnings:
        yield "None."
        return
    yield bullets(escaped(f"{capitalized(warning.text)} ({listing(warning.about, 4)})") for warning in report.warnings)


SECTION = Section("warnings", "Warnings", whole_report, _markdown)
