"""Exported files in the order of their accuracy, and which of them the test images do not separate."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.report.model.ranking import AccuracyRanking
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section


@dataclass(frozen=True)
class RankingView:
    """The ranking of each target."""

    rankings: dict[str, AccuracyRanking]


def _view(report: Report) -> RankingView | None:
    found = {name: target.ranking for name, target in report.by_target.items() if target.ranking is not None}
    return RankingView(found) if found else None


SECTION = Section("ranking", "Ranking by accuracy", _view)
