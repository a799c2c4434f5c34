"""Every exported file on every target: accuracy, latency, size, memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.render.markdown import table
from edgekit.render.numbers import NONE, megabytes, milliseconds, number, percent, percent_range, points
from edgekit.render.text import plural
from edgekit.report.model.exported_files import ExportedFile, Timing
from edgekit.report.model.report import Report
from edgekit.report.model.source import Score
from edgekit.report.sections.section import Section, number_heading


@dataclass(frozen=True)
class ExportedFilesView:
    """What the table of exported files needs beside the report."""

    number_heading: str

    def tails(self, timing: Timing, digits: int) -> str:
        """The percentiles above the median, as far as they are known."""
        known = [(name, value) for name, value in (("p90", timing.p90), ("p99", timing.p99)) if value is not None]
        return ", ".join(f"{name} {number(value, digits)}" for name, value in known)


def _view(report: Report) -> ExportedFilesView:
    return ExportedFilesView(number_heading(report))


def _markdown(report: Report, view: ExportedFilesView) -> Iterator[str]:
    if not report.files:
        yield "No file has been exported yet."
        return
    latency = [f"p50, ms, {plural(threads, 'thread')}" for threads in report.threads]
    headers = [view.number_heading, "exported file", "seed", "accuracy, % (95%)", "drop, points"]
    yield table([*headers, *latency, "MB", "marks"], (list(_cells(report, file)) for file in report.files))


def _cells(report: Report, file: ExportedFile) -> Iterator[str]:
    yield str(file.number)
    yield file.title + (f" on {file.target}" if report.several_targets and file.target else "")
    yield str(file.seed)
    yield score_text(file.score)
    yield points(file.drop)
    for threads in report.threads:
        timing = file.timing(threads)
        yield milliseconds(None if timing is None else timing.p50)
    yield megabytes(file.export.size_bytes)
    yield ", ".join([*(["front"] if report.on_front(file) else []), *file.marks()])


def score_text(score: Score | None) -> str:
    """``93.0 (90.1 to 95.1)``, in percent."""
    return NONE if score is None else f"{percent(score.accuracy)} ({percent_range(score.ci95)})"


SECTION = Section("exported-files", "Exported files", _view, _markdown)
