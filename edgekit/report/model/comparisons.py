"""Every comparison of a report, each computed once: latency within a session, accuracy on the same test images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.bench import BenchResult
from edgekit.report.model.exported_files import ExportedFile
from edgekit.report.model.groups import Group
from edgekit.report.model.latency_comparison import LatencyComparison, SessionNoise, Sessions, sessions
from edgekit.stats.seeds_and_images import difference_p

ALPHA = 0.05

Differences = NDArray[np.float64]
"""By seed and test image (seeds, images): 1 where only the left one is correct, -1 where only the right one is."""


class Comparisons:
    """The comparisons between the exported files of a report, computed when first asked for and then kept."""

    def __init__(self, files: Sequence[ExportedFile]) -> None:
        self.results: list[BenchResult] = [file.result for file in files if file.result is not None]
        self.sessions: Sessions = sessions(self.results)
        self._latency: dict[tuple[int, int, int], LatencyComparison | None] = {}
        self._accuracy: dict[tuple[int, int], Differences | None] = {}
        self._p: dict[tuple[int, int], float | None] = {}

    def session_of(self, file: ExportedFile, threads: int) -> SessionNoise | None:
        """What the session in which ``file`` was measured can tell apart."""
        return None if file.bench is None else self.sessions.get((file.bench.session_id, threads))

    def latency(self, left: ExportedFile, right: ExportedFile, threads: int) -> LatencyComparison | None:
        """The latency of ``left`` over that of ``right``; None unless both were measured in one session."""
        key = (left.number, right.number, threads)
        if key not in self._latency:
            self._latency[key] = self._compare_latency(left, right, threads)
        return self._latency[key]

    def _compare_latency(self, left: ExportedFile, right: ExportedFile, threads: int) -> LatencyComparison | None:
        noise = self.session_of(left, threads)
        if noise is None or self.session_of(right, threads) is not noise:
            return None
        assert left.bench is not None
        assert right.bench is not None
        a, b = left.bench.with_threads(threads), right.bench.with_threads(threads)
        return None if a is None or b is None else noise.compare(a, b)

    def differences(self, left: Group, right: Group) -> Differences | None:
        """Image by image, of the seeds that both have.

        None if they were not scored on the same images, or have no seed in common.
        """
        key = (left.number, right.number)
        if key not in self._accuracy:
            self._accuracy[key] = paired_differences(left, right)
        return self._accuracy[key]

    def p_value(self, left: Group, right: Group) -> float | None:
        """Two-sided p of equal accuracy on the same test images; None if the images are not the same.

        One seed in common: exact McNemar test. Several: the test over seeds and images, of the seeds that both have.
        """
        key = (min(left.number, right.number), max(left.number, right.number))
        if key not in self._p:
            differences = self.differences(left, right)
            self._p[key] = None if differences is None else difference_p(differences)
        return self._p[key]

    def separated(self, left: Group, right: Group) -> bool | None:
        """Whether the test images separate the accuracy of two groups at 5%; None if that cannot be said."""
        p = self.p_value(left, right)
        return None if p is None else p < ALPHA


def paired_differences(left: Group, right: Group) -> Differences | None:
    """The differences of two groups by seed and test image; see :meth:`Comparisons.differences`."""
    if left.accuracy is None or right.accuracy is None:
        return None
    a, b = ({member.seed: member.correct for member in group.members} for group in (left, right))
    seeds = [seed for seed in a if seed in b]
    files = left.first.correct.keys()
    if not seeds or any(correct.keys() != files for side in (a, b) for correct in side.values()):
        return None
    return np.array([[float(a[seed][file]) - float(b[seed][file]) for file in files] for seed in seeds])
