"""The verdict: most accurate, fastest, smallest, the Pareto front, and what the numbers do not prove."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.documents.report_findings import Finding
from edgekit.render.markdown import bullets, escaped
from edgekit.render.recommendations import advice_lines
from edgekit.render.text import capitalized
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section, whole_report


def _markdown(report: Report, _: Report) -> Iterator[str]:
    if report.recommendation is not None:
        first, *sentences = advice_lines(report.recommendation)
        yield f"**{escaped(first)}**"
        yield escaped(" ".join(sentences))
    yield bullets(f"**{escaped(finding.question)}**: {_finding(finding)}" for finding in report.findings)
    if report.limits:
        yield "What these numbers do not prove:"
        yield bullets(map(escaped, report.limits))


def _finding(finding: Finding) -> str:
    names = []
    for winner in finding.winners:
        number = f" (#{winner.number})" if winner.number else ""
        names.append(f"{winner.title}{number}{', ' if winner.figure else ''}{winner.figure}")
    parts = [part for part in ("; ".join(names), finding.figure, finding.remark) if part]
    return escaped(". ".join(capitalized(part) for part in parts))


SECTION = Section("verdict", "Verdict", whole_report, _markdown)
