"""What a check has measured so far of each pair of files, from all sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.bench import BenchDocument, BenchResult
from edgekit.documents.latency import Latency, paired_rounds
from edgekit.regression.pairing import Pair
from edgekit.report.model.latency_comparison import SessionNoise, sessions
from edgekit.stats.limits import look_confidence
from edgekit.stats.process_ratio import (
    MeasuredRatio,
    ProcessVariation,
    log_ratios,
    measured_ratio,
    noise_floor_of_controls,
)


@dataclass(frozen=True)
class LatencyLook:
    """One session with one number of threads: both files, measured interleaved, and what the session can tell apart."""

    new: Latency
    baseline: Latency
    noise: SessionNoise


@dataclass(frozen=True)
class PooledLatency:
    """All sessions with one number of threads together."""

    ratio: MeasuredRatio
    floor: float
    new_ms: float
    baseline_ms: float


@dataclass
class Classes:
    """Predicted classes of both files (N,) and the true ones, on the images that both were scored on."""

    baseline: NDArray[np.int64]
    new: NDArray[np.int64]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    files: tuple[str, ...]
    n_baseline: int
    """How many images the baseline was scored on."""


@dataclass
class Evidence:
    """What is known of one pair. Lists of single measurements: one entry for each time."""

    pair: Pair
    together: bool = False
    """Whether the baseline's own file is measured as well."""
    looks: dict[int, list[LatencyLook]] = field(default_factory=dict)
    """By number of threads."""
    memory: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    """Bytes, of the new file and of the baseline."""
    memory_threads: int = 1
    """Number of threads that memory and energy were measured with."""
    energy: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    """Joules per run, of the new file and of the baseline."""
    classes: Classes | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    """Why something was not compared, by the name of the check."""
    notes: list[str] = field(default_factory=list)
    problem: str | None = None
    """Why the new file failed to run."""

    def add_session(self, new: BenchResult, baseline: BenchResult, session: Sequence[BenchResult]) -> None:
        """Add a session that measured both files."""
        known = sessions(session)
        for latency in new.latency:
            other, noise = baseline.with_threads(latency.threads), known.get((new.bench.session_id, latency.threads))
            if other is not None and noise is not None and paired_rounds(latency.processes, other.processes)[0]:
                self.looks.setdefault(latency.threads, []).append(LatencyLook(latency, other, noise))
        for place, result in enumerate((new, baseline)):
            self.add_repeat(place, result.bench)

    def add_repeat(self, place: int, bench: BenchDocument) -> None:
        """Add memory and energy of a result; ``place`` 0 is the new file, 1 the baseline."""
        if bench.memory is not None:
            self.memory[place].append(float(bench.memory.model_rss_bytes))
            self.memory_threads = bench.memory.threads
        energy = None if bench.energy is None or bench.emulated else bench.energy.per_run()
        if energy is not None:
            self.energy[place].append(energy.joules)

    def latency(self, threads: int) -> PooledLatency | None:
        """All sessions together: processes of every session count alike. None if nothing was measured."""
        looks = self.looks.get(threads, [])
        if not looks:
            return None
        pairs = [paired_rounds(look.new.processes, look.baseline.processes) for look in looks]
        by_process = [values for mine, its in pairs for values in log_ratios(mine, its)]
        ratio = measured_ratio(by_process, _pooled(looks), confidence=look_confidence(len(looks)))
        floor = noise_floor_of_controls([control.ratio for look in looks for control in look.noise.controls.values()])
        new_ms, baseline_ms = (
            float(np.median([latency.round_median_ms for latency in side]))
            for side in ([look.new for look in looks], [look.baseline for look in looks])
        )
        return PooledLatency(ratio, floor, new_ms, baseline_ms)

    @property
    def unstable(self) -> tuple[str, ...]:
        """Why the target was not quiet."""
        latencies = [
            latency for looks in self.looks.values() for look in looks for latency in (look.new, look.baseline)
        ]
        return tuple(dict.fromkeys(reason for latency in latencies for reason in latency.unstable))


def _pooled(looks: Sequence[LatencyLook]) -> ProcessVariation | None:
    """The variation between processes, from all sessions."""
    known = [look.noise.variation for look in looks if look.noise.variation is not None]
    freedom = sum(variation.freedom for variation in known)
    if not freedom:
        return None
    return ProcessVariation(sum(one.variance * one.freedom for one in known) / freedom, freedom)
