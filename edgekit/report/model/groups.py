"""Groups, which the report compares: the exported files of one kind over all seeds; with one seed, a single file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean, median, stdev

import numpy as np

from edgekit.documents.report_rows import Mark
from edgekit.report.model.exported_files import ExportedFile
from edgekit.stats.intervals import mean_interval
from edgekit.stats.process_ratio import MIN_ROUNDS
from edgekit.stats.seeds_and_images import method_mean


@dataclass(frozen=True)
class Group:
    """Exported files of the same model, strategy, format, scheme and target that differ in their seed only."""

    number: int
    title: str
    members: tuple[ExportedFile, ...]
    left_out: tuple[ExportedFile, ...] = ()
    """Files of other seeds that failed a check, so that they were not measured."""

    @property
    def first(self) -> ExportedFile:
        return self.members[0]

    @property
    def target(self) -> str | None:
        return self.first.target

    @property
    def named(self) -> str:
        """Title and number, as sentences name it."""
        return f"{self.title} (#{self.number})"

    @property
    def failed(self) -> bool:
        return any(member.failed for member in self.members)

    @property
    def accuracies(self) -> list[float]:
        return [member.score.accuracy for member in self.members if member.score is not None]

    @property
    def accuracy(self) -> float | None:
        """Mean over seeds; None unless every member was scored and none failed."""
        if self.failed or len(self.accuracies) < len(self.members):
            return None
        return mean(self.accuracies)

    @property
    def size_bytes(self) -> int:
        """Median over its members, which differ little: the weights compress differently."""
        return round(median(member.export.size_bytes for member in self.members))

    @property
    def gzip_bytes(self) -> int:
        return round(median(member.export.gzip_bytes for member in self.members))

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds."""
        return stdev(self.accuracies) if len(self.accuracies) > 1 else None

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """95% interval: Wilson's over the test images for one seed, over seeds and images for several.

        Seeds that were not scored on the same images have Student's interval over seeds, which is all that is known.
        """
        if self.accuracy is None:
            return None
        assert self.first.score is not None
        if len(self.members) == 1:
            return self.first.score.ci95
        images = list(self.first.correct)
        if any(member.correct.keys() != self.first.correct.keys() for member in self.members):
            over_seeds = mean_interval(self.accuracies)
            return max(0.0, over_seeds.low), min(1.0, over_seeds.high)
        table = np.array([[member.correct[file] for file in images] for member in self.members], dtype=np.float64)
        found = method_mean(table) if table.shape[1] > 1 else None
        if found is None:
            return self.first.score.ci95
        interval = found.interval()
        return interval.low, interval.high

    @property
    def marks(self) -> list[Mark]:
        """The marks of its members and of files that are left out, each once."""
        return list(dict.fromkeys(text for member in (*self.left_out, *self.members) for text in member.marks()))

    def p50(self, threads: int) -> float | None:
        """Median over members of the p50 in milliseconds; None unless every member has one.

        Of the session in which most members were measured: latencies of two sessions do not mix.
        """
        found = self._in_session(threads)
        return None if found is None else found[1]

    def session(self, threads: int) -> str | None:
        """The session that :meth:`p50` is of."""
        found = self._in_session(threads)
        return None if found is None else found[0]

    def _in_session(self, threads: int) -> tuple[str, float] | None:
        known = {
            member.number: (member.bench.session_id, timing.p50)
            for member in self.members
            if member.bench is not None and (timing := member.timing(threads)) is not None and timing.p50 is not None
        }
        if len(known) < len(self.members):
            return None
        main, _ = Counter(session for session, _ in known.values()).most_common(1)[0]
        return main, median(p50 for session, p50 in known.values() if session == main)

    def p50_range(self, threads: int) -> tuple[float, float] | None:
        """Lowest and highest median of a round, of any member, in milliseconds."""
        timings = (member.timing(threads) for member in self.members)
        medians = [p50 for timing in timings if timing is not None for p50 in timing.round_p50s]
        return (min(medians), max(medians)) if medians else None

    def real_p50(self, threads: int) -> float | None:
        """The p50 if it was measured on real hardware and nothing failed; it may be unstable."""
        return None if self.failed or self.first.emulated else self.p50(threads)

    def stable(self, threads: int) -> bool:
        """Whether the machine was quiet in every measurement with this many threads."""
        return not any((timing := member.timing(threads)) is not None and timing.unstable for member in self.members)

    def comparable_p50(self, threads: int) -> float | None:
        """The p50 if it may win a comparison: real, stable, and of enough rounds."""
        return self.real_p50(threads) if self.stable(threads) and self._enough_rounds(threads) else None

    def _enough_rounds(self, threads: int) -> bool:
        timings = [timing for member in self.members if (timing := member.timing(threads)) is not None]
        return all(len(timing.round_p50s) >= MIN_ROUNDS for timing in timings)


def grouped(files: Sequence[ExportedFile]) -> list[Group]:
    """Files that differ in their seed only, together; numbered as the files where there is one seed."""
    measured = {file.title for file in files if file.target is not None}
    left_out: dict[str, list[ExportedFile]] = {}
    found: dict[tuple[str, str | None], list[ExportedFile]] = {}
    for file in files:
        if file.failed and file.target is None and file.title in measured:
            left_out.setdefault(file.title, []).append(file)
        else:
            found.setdefault((file.title, file.target), []).append(file)
    several_targets = len({target for _, target in found if target is not None}) > 1
    return [
        Group(
            number,
            f"{title} on {target or 'no target'}" if several_targets else title,
            tuple(members),
            tuple(left_out.get(title, ())) if target is not None else (),
        )
        for number, ((title, target), members) in enumerate(found.items(), 1)
    ]


def thread_counts(groups: Sequence[Group]) -> list[int]:
    """Every number of threads that something was measured with, ascending."""
    return sorted({timing.threads for group in groups for member in group.members for timing in member.timings})
