"""The latencies of one target that compare: those of the session in which most groups were measured."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edgekit.report.model.comparisons import Comparisons, LatencyRatio
from edgekit.report.model.exported_files import ExportedFile
from edgekit.report.model.groups import Group


@dataclass(frozen=True)
class SessionLatency:
    """``placed``: groups of one session with the file that stands for each; ``elsewhere``: groups of other sessions."""

    threads: int
    placed: tuple[tuple[Group, ExportedFile], ...]
    elsewhere: tuple[Group, ...]

    def ms(self, group: Group) -> float:
        """The median of the medians of the rounds."""
        return median(self.rounds(group))

    def bounds(self, group: Group) -> tuple[float, float]:
        """The 95% interval of that median from order statistics; the range where there are too few rounds for one."""
        rounds = sorted(self.rounds(group))
        below = _order(len(rounds))
        return rounds[below], rounds[-1 - below]

    def rounds(self, group: Group) -> tuple[float, ...]:
        timing = self.file(group).timing(self.threads)
        assert timing is not None
        return timing.round_p50s

    def file(self, group: Group) -> ExportedFile:
        return next(file for other, file in self.placed if other is group)

    @property
    def groups(self) -> list[Group]:
        return [group for group, _ in self.placed]

    def ratio(self, group: Group, other: Group, comparisons: Comparisons) -> LatencyRatio | None:
        return comparisons.latency(self.file(group), self.file(other), self.threads)

    def fastest(self, comparisons: Comparisons) -> Group:
        """The group that none is faster than, round by round; of those the one with the lowest median."""
        best, *others = sorted(self.groups, key=self.ms)
        for group in others:
            found = self.ratio(group, best, comparisons)
            if found is not None and found.ratio.median < 1 and found.verdict == "faster":
                best = group
        return best


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


def _order(n: int) -> int:
    """How many of ``n`` ordered values may be left out on each side of a 95% interval of their median."""
    total, left_out = 2.0**-n, 0
    while 2 * (total + math.comb(n, left_out + 1) * 2.0**-n) <= 0.05:
        left_out += 1
        total += math.comb(n, left_out) * 2.0**-n
    # Without the lowest ``left_out`` values, the interval still holds the median with probability 1 - 2 * total.
    return left_out
