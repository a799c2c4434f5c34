"""The latencies of one target that compare: those of the session in which most groups were measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.exported_files import ExportedFile, Timing
from edgekit.report.model.groups import Group
from edgekit.report.model.latency_comparison import LatencyComparison, fastest_of
from edgekit.stats.process_ratio import percentile_interval


@dataclass(frozen=True)
class SessionLatency:
    """``placed``: groups of one session with the file that stands for each; ``elsewhere``: groups of other sessions."""

    threads: int
    placed: tuple[tuple[Group, ExportedFile], ...]
    elsewhere: tuple[Group, ...]

    def ms(self, group: Group) -> float:
        """The median of the medians of the rounds."""
        return median(self._timing(group).round_p50s)

    def bounds(self, group: Group) -> tuple[float, float]:
        """The 95% interval of that median over processes; of one process from the order statistics of its rounds."""
        timing = self._timing(group)
        rounds = timing.round_p50s
        return timing.p50_interval or percentile_interval(rounds, 50) or (min(rounds), max(rounds))

    def _timing(self, group: Group) -> Timing:
        timing = self.file(group).timing(self.threads)
        assert timing is not None
        return timing

    def file(self, group: Group) -> ExportedFile:
        return self._files[group.number]

    @cached_property
    def _files(self) -> dict[int, ExportedFile]:
        return {group.number: file for group, file in self.placed}

    @property
    def groups(self) -> list[Group]:
        return [group for group, _ in self.placed]

    def ratio(self, group: Group, other: Group, comparisons: Comparisons) -> LatencyComparison | None:
        return comparisons.latency(self.file(group), self.file(other), self.threads)

    def fastest(self, comparisons: Comparisons) -> Group:
        """The group that none is faster than, round by round; of those the one with the lowest median."""
        return fastest_of(sorted(self.groups, key=self.ms), lambda one, other: self.ratio(one, other, comparisons))


def session_latency(groups: Sequence[Group], threads: int) -> SessionLatency | None:
    """Of groups of one target whose latency may be compared; None where there are none."""
    able = [group for group in groups if group.comparable_p50(threads) is not None]
    files = {
        (member.bench.session_id, group.number): member
        for group in able
        for member in reversed(group.members)
        if member.bench is not None and member.timing(threads) is not None
    }
    if not files:
        return None
    main, _ = Counter(session for session, _ in files).most_common(1)[0]
    placed = [(group, files[main, group.number]) for group in able if (main, group.number) in files]
    inside = {group.number for group, _ in placed}
    return SessionLatency(threads, tuple(placed), tuple(group for group in able if group.number not in inside))
