"""The report as Markdown, for a repository or an email."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.render.markdown import escaped
from edgekit.report.model.report import Report
from edgekit.report.sections.table import SECTIONS


def report_markdown(report: Report) -> str:
    """Every section that has a text form."""
    return "\n\n".join(_blocks(report)) + "\n"


def _blocks(report: Report) -> Iterator[str]:
    yield f"# {escaped(report.source.name)}"
    yield f"edgekit {report.edgekit_version}, {report.created}"
    for section in SECTIONS:
        view = section.view(report) if section.markdown is not None else None
        if section.markdown is not None and view is not None:
            yield f"## {section.title}"
            yield from section.markdown(report, view)
