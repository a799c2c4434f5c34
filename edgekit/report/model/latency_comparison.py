"""Latency within a session, the one place where it is compared: ratios over processes, and what the session resolves.

A session is what one `edgekit bench` measured interleaved. Emulated times are not those of a device, so they are not
compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar, cast

import numpy as np

from edgekit.documents.bench import BenchDocument, BenchResult
from edgekit.documents.bench_summary import UNSTABLE, LatencyVerdict, NoiseFloorRecord
from edgekit.documents.latency import Latency, MeasuredProcess, paired_rounds
from edgekit.documents.report_rows import ControlRatio
from edgekit.stats.process_ratio import (
    FASTER,
    MeasuredRatio,
    ProcessVariation,
    log_ratios,
    measured_ratio,
    noise_floor_of_controls,
    ratio_verdict,
    session_variation,
)

T = TypeVar("T")

USEFUL_GAIN = 0.05
"""How much faster a file must be for the gain to be of use."""


@dataclass(frozen=True)
class LatencyComparison:
    """The latency of one file over that of another, and what the session shows of it."""

    ratio: MeasuredRatio
    verdict: LatencyVerdict


def fastest_of(items: Iterable[T], compare: Callable[[T, T], LatencyComparison | None]) -> T:
    """The one that none is faster than, by the ratio per round. ``items`` are in the order of their medians."""
    best, *others = items
    for item in others:
        found = compare(item, best)
        if found is not None and found.ratio.ratio < 1 and found.verdict == FASTER:
            best = item
    return best


@dataclass(frozen=True)
class SessionNoise:
    """What one session with one number of threads can tell apart.

    ``controls``: the A/A ratio of each file that was measured twice, by its id. ``floor``: ratios up to this are noise.
    ``variation``: how much processes differ; None where there was one process, or one file.
    """

    controls: Mapping[str, MeasuredRatio]
    floor: float
    variation: ProcessVariation | None

    def ratio(self, one: Latency, other: Latency, *, confidence: float = 0.95) -> MeasuredRatio | None:
        """The latency of ``one`` as a multiple of ``other``; None if no process measured both in the same round."""
        mine, its = paired_rounds(one.processes, other.processes)
        return measured_ratio(log_ratios(mine, its), self.variation, confidence=confidence) if mine else None

    def compare(self, one: Latency, other: Latency) -> LatencyComparison | None:
        """The ratio with its verdict; a file that was not measured on a quiet machine cannot win or lose."""
        ratio = self.ratio(one, other)
        if ratio is None:
            return None
        if one.unstable or other.unstable:
            return LatencyComparison(ratio, UNSTABLE)
        verdict = ratio_verdict(ratio, self.floor, useful_gain=USEFUL_GAIN)
        return LatencyComparison(ratio, cast("LatencyVerdict", verdict))

    def cache_test(self, bench: BenchDocument, threads: int) -> LatencyComparison | None:
        """Varied images against one image again and again; None where the session did not measure that."""
        test = next((test for test in bench.cache_test if test.threads == threads), None)
        varied, same = paired_rounds(test.varied, test.same) if test is not None else ((), ())
        if not varied:
            return None
        ratio = measured_ratio(log_ratios(varied, same), self.variation)
        verdict = ratio_verdict(ratio, self.floor, useful_gain=USEFUL_GAIN)
        return LatencyComparison(ratio, cast("LatencyVerdict", verdict))

    def fastest(self, latencies: Sequence[Latency]) -> int:
        """The position of the file that none is faster than; of those the one with the lowest median of its rounds."""
        order = sorted(range(len(latencies)), key=lambda place: latencies[place].round_median_ms)
        return fastest_of(order, lambda one, other: self.compare(latencies[one], latencies[other]))

    def record(self) -> NoiseFloorRecord:
        return NoiseFloorRecord(
            controls=tuple(
                ControlRatio(
                    model=model,
                    ratio=ratio.ratio,
                    ratio_ci95=(ratio.low, ratio.high),
                    n_processes=ratio.n_processes,
                    n_rounds=ratio.n_rounds,
                )
                for model, ratio in self.controls.items()
            ),
            floor=(1 / self.floor, self.floor),
        )


Sessions = Mapping[tuple[str, int], SessionNoise]
"""By session and number of threads."""


def sessions(results: Iterable[BenchResult]) -> dict[tuple[str, int], SessionNoise]:
    """What each session can tell apart; sessions without an A/A control are left out, as nothing is known of them."""
    members: dict[str, list[BenchResult]] = {}
    for result in results:
        if not result.bench.emulated:
            members.setdefault(result.bench.session_id, []).append(result)
    found = {}
    for session, own in members.items():
        for threads in sorted({control.threads for result in own for control in result.bench.control}):
            noise = _noise(own, threads)
            if noise is not None:
                found[session, threads] = noise
    return found


def _noise(results: Sequence[BenchResult], threads: int) -> SessionNoise | None:
    # Every result of a session has a copy of its controls.
    records = {c.model: c for result in results for c in result.bench.control if c.threads == threads}
    pairs = {model: paired_rounds(record.first, record.second) for model, record in records.items()}
    pairs = {model: pair for model, pair in pairs.items() if pair[0]}
    if not pairs:
        return None
    files = [latency.processes for result in results if (latency := result.with_threads(threads)) is not None]
    variation = _variation([*files, *(records[model].second for model in pairs)])
    controls = {model: measured_ratio(log_ratios(*pair), variation) for model, pair in pairs.items()}
    floor = noise_floor_of_controls([ratio.ratio for ratio in controls.values()])
    return SessionNoise(controls, floor, variation)


def _variation(files: Sequence[Sequence[MeasuredProcess]]) -> ProcessVariation | None:
    """From the processes that measured all files."""
    medians = [
        {process.number: median(medians) for process in processes if (medians := process.round_medians_ns)}
        for processes in files
    ]
    numbers = sorted(set.intersection(*(set(one) for one in medians))) if medians else []
    if not numbers:
        return None
    table = np.log(np.array([[one[number] for number in numbers] for one in medians], dtype=np.float64))
    return session_variation(table)
