"""What a search by `edgekit choose` considered, and why each network was dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.documents.study import CandidateRecord, SearchRecord
from edgekit.render.markdown import escaped, table
from edgekit.render.numbers import NONE, milliseconds, number, percent
from edgekit.render.text import plural
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section

HEADINGS = ("Network", "M MACs", "MB", "ms", "Accuracy by round, %", "Outcome")


@dataclass(frozen=True)
class Search:
    """The sentences above the table, and its rows."""

    sentences: list[str]
    rows: list[list[str]]
    headings: tuple[str, ...] = HEADINGS


def _view(report: Report) -> Search | None:
    study = report.source.study
    search = None if study is None else study.search
    if search is None:
        return None
    order = sorted(search.candidates, key=lambda c: (c.dropped is not None, -len(c.accuracies), c.title))
    return Search(_sentences(search), [_row(candidate) for candidate in order])


def _sentences(search: SearchRecord) -> list[str]:
    shares = ", ".join(f"{one.share:.0%} ({plural(len(one.members), 'network')})" for one in search.rounds)
    probed = sum(bool(candidate.files) for candidate in search.candidates)
    sentences = [
        f"{plural(len(search.candidates), 'network was', 'networks were')} considered; {probed} of them were exported "
        f"untrained and measured on {search.target}. What was left was trained in rounds, each time from new weights, "
        f"for this share of the epochs: {shares}.",
        "MB and ms are those of the fastest file of the untrained network, if possible of one that exceeds no limit. "
        "Accuracy is that on validation images. It selected the networks, so judge them by the test images above.",
    ]
    if search.time_limit_s is not None:
        sentences.append(f"The search had a time limit of {search.time_limit_s / 60:.3g} minutes.")
    return sentences


def _row(candidate: CandidateRecord) -> list[str]:
    files = [file for file in candidate.files if not file.fails] or list(candidate.files)
    fast = min(files, key=lambda file: (file.latency_ms or float("inf"), file.size_mb), default=None)
    return [
        candidate.title,
        NONE if candidate.macs is None else number(candidate.macs / 1e6, 0),
        NONE if fast is None else number(fast.size_mb, 2),
        NONE if fast is None else milliseconds(fast.latency_ms),
        ", ".join(percent(accuracy) for accuracy in candidate.accuracies) or NONE,
        "trained to the end" if candidate.dropped is None else candidate.dropped,
    ]


def _markdown(_: Report, view: Search) -> Iterator[str]:
    yield " ".join(escaped(sentence) for sentence in view.sentences)
    yield table(list(view.headings), [[escaped(cell) for cell in row] for row in view.rows])


SECTION = Section("search", "What the search considered", _view, _markdown)
