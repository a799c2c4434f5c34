"""Latency statistics of one process: percentiles, and ratios per interleaved round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PERCENTILE_MIN_RUNS: dict[int, int] = {50: 11, 90: 64, 95: 130, 99: 662}
"""How many runs a percentile needs at 99% confidence."""


def percentile(samples: Sequence[int] | Sequence[float], p: int) -> float | None:
    """The ``p``-th percentile (50, 90, 95 or 99), or None if there are too few samples to support it."""
    if len(samples) < PERCENTILE_MIN_RUNS[p]:
        return None
    return float(np.percentile(np.asarray(samples, np.float64), p))


@dataclass(frozen=True)
class Ratio:
    """How many times as long one run of ``a`` takes as one of ``b``: median over rounds, with a 95% interval."""

    median: float
    low: float
    high: float
    n_rounds: int

    def document(self) -> dict[str, float | int | list[float]]:
        return {"ratio": self.median, "ratio_ci95": [self.low, self.high], "n_rounds": self.n_rounds}


def ratio_per_round(a: Sequence[Sequence[int]], b: Sequence[Sequence[int]]) -> list[float]:
    """Median of ``a`` over median of ``b`` in every round; both were measured in the same rounds.

    Raises :class:`ValueError` if they were not.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"rounds do not pair: {len(a)} and {len(b)}")
    return [float(np.median(x) / np.median(y)) for x, y in zip(a, b)]


def compare_rounds(
    a: Sequence[Sequence[int]],
    b: Sequence[Sequence[int]],
    *,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Ratio:
    """The ratio per round of two interleaved models: its median and a percentile bootstrap interval over rounds.

    The interval is that of one process and does not cover how processes differ; :mod:`edgekit.stats.process_ratio`
    does.

    With fewer than six rounds the interval of a median covers less than 95% whatever is resampled; it is then
    the whole range of the rounds.
    """
    ratios = np.array(ratio_per_round(a, b))
    if len(ratios) < 6:
        return Ratio(float(np.median(ratios)), float(ratios.min()), float(ratios.max()), len(ratios))
    picks = np.random.default_rng(seed).integers(0, len(ratios), (resamples, len(ratios)))
    medians = np.median(ratios[picks], axis=1)
    tail = 50 * (1 - confidence)
    low, high = np.percentile(medians, [tail, 100 - tail])
    return Ratio(float(np.median(ratios)), float(low), float(high), len(ratios))
