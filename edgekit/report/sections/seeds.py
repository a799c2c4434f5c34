"""Means over seeds: one row for each kind of exported file."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.render.markdown import table
from edgekit.render.numbers import NONE, megabytes, milliseconds, percent, percent_range
from edgekit.render.text import plural
from edgekit.report.model.groups import Group
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section


def _view(report: Report) -> Report | None:
    return report if report.means_over_seeds else None


def _markdown(report: Report, _: Report) -> Iterator[str]:
    latency = [f"p50, ms, {plural(threads, 'thread')}" for threads in report.threads]
    headers = ["#", "exported file", "seeds", "accuracy, % (95%)", *latency, "MB", "marks"]
    yield table(headers, (list(_cells(report, group)) for group in report.groups))


def _cells(report: Report, group: Group) -> Iterator[str]:
    yield str(group.number)
    yield group.title
    yield str(len(group.members))
    interval = "" if group.interval is None else f" ({percent_range(group.interval)})"
    yield NONE if group.accuracy is None else f"{percent(group.accuracy)}{interval}"
    for threads in report.threads:
        yield milliseconds(group.p50(threads))
    yield megabytes(group.size_bytes)
    yield ", ".join([*(["front"] if report.on_front(group.first) else []), *group.marks])


SECTION = Section("seeds", "Means over seeds", _view, _markdown)
