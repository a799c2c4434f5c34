"""The latency ratio of two interleaved exported files from several processes, and what a session can resolve.

Rounds of one process are alike in what the process decides once (memory layout, which cores, which clock), so that they
are no independent repeats: T. Kalibera and R. Jones, "Rigorous benchmarking in reasonable time", ISMM 2013. The unit of
chance is the process; rounds only make the figure of a process more precise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Runs = Sequence[Sequence[Sequence[int]]] | Sequence[Sequence[Sequence[float]]]
"""[process][round][run]: times, in any one unit."""

MIN_ROUNDS = 6
"""Fewer rounds in all give no verdict."""

RESOLUTION = 0.001
"""No half width is smaller, as a share of the ratio: processes that happen to agree do not measure without error."""

SHAMOS = 1.048358
"""1 / (sqrt(2) times the upper quartile of the normal distribution)."""

FASTER, SLOWER = "faster", "slower"
NO_USEFUL_DIFFERENCE = "no useful difference"
NOT_MEASURABLE = "not measurable in this session"
TOO_FEW_ROUNDS = "no verdict: fewer than six rounds"
ONE_PROCESS = "no verdict: only one process each"


@dataclass(frozen=True)
class ProcessVariation:
    """Variance of one process's log ratio, and the degrees of freedom of that estimate."""

    variance: float
    freedom: int


@dataclass(frozen=True)
class MeasuredRatio:
    """Time of the first file over that of the second, with its interval.

    ``covers_processes`` is False where one process each was measured and nothing is known of how processes differ:
    the interval is then one of these two processes only.
    """

    ratio: float
    low: float
    high: float
    n_processes: int
    n_rounds: int
    covers_processes: bool

    def excludes_gain(self, useful_gain: float) -> bool:
        """Whether the first file is shown *not* to be faster by ``useful_gain`` (0.05: 5%) or more."""
        return self.covers_processes and self.n_rounds >= MIN_ROUNDS and self.low > 1 / (1 + useful_gain)


def log_ratios(first: Runs, second: Runs) -> list[Values]:
    """By process, the log of the ratio of medians in each round (rounds,).

    Process i of both files ran interleaved, round by round. Raises :class:`ValueError` where the rounds do not pair, or
    a time is not positive.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"processes do not pair: {len(first)} and {len(second)}")
    found = []
    for a, b in zip(first, second):
        if len(a) != len(b) or not a:
            raise ValueError(f"rounds do not pair: {len(a)} and {len(b)}")
        medians = np.array([[np.median(x), np.median(y)] for x, y in zip(a, b)], dtype=np.float64)
        if medians.min() <= 0:
            raise ValueError("a time is not positive")
        found.append(np.log(medians[:, 0] / medians[:, 1]))
    return found


def session_variation(log_times: Values) -> ProcessVariation | None:
    """How much processes differ in a session, pooled over its files, from ``log_times`` (files, processes).

    What a file takes and what all files of a process have in common are removed; the rest of a file's process has the
    variance ``v``, and a ratio of two files has ``2 v``. With (files - 1)(processes - 1) degrees of freedom it makes
    intervals from two processes useful, where the pair alone has one. Count an A/A control as a file of its own. It
    assumes that processes differ as much for each file. None for fewer than two files or processes.
    """
    files, processes = log_times.shape
    if files < 2 or processes < 2:
        return None
    rest = log_times - log_times.mean(axis=1, keepdims=True) - log_times.mean(axis=0) + log_times.mean()
    freedom = (files - 1) * (processes - 1)
    return ProcessVariation(2 * float(np.sum(rest**2)) / freedom, freedom)


def measured_ratio(
    by_process: Sequence[Values], variation: ProcessVariation | None = None, *, confidence: float = 0.95
) -> MeasuredRatio:
    """Student's interval of the ratio over processes, from log ratios per round (:func:`log_ratios`).

    A process counts with the median of its rounds. ``variation`` is that of the session; the pair's own variance takes
    its place where an F test at 1% finds it larger. The interval is never shorter than what the rounds within the
    processes allow, nor than :data:`RESOLUTION`. Raises :class:`ValueError` where a process has no rounds, or for none.
    """
    if not by_process or any(not len(rounds) for rounds in by_process):
        raise ValueError("a ratio needs rounds of at least one process")
    values = np.array([float(np.median(rounds)) for rounds in by_process])
    count, rounds_in_all = len(values), sum(len(rounds) for rounds in by_process)
    own = ProcessVariation(float(np.var(values, ddof=1)), count - 1) if count > 1 else None
    used = _used_variation(own, variation)
    half = max(RESOLUTION, _half_of_rounds(by_process, confidence))
    if used is not None:
        half = max(half, _student(used.freedom, confidence) * math.sqrt(used.variance / count))
    middle = float(values.mean())
    return MeasuredRatio(
        ratio=math.exp(middle),
        low=math.exp(middle - half),
        high=math.exp(middle + half),
        n_processes=count,
        n_rounds=rounds_in_all,
        covers_processes=used is not None,
    )


def _used_variation(own: ProcessVariation | None, session: ProcessVariation | None) -> ProcessVariation | None:
    from scipy.stats import f

    if own is None or session is None:
        return own or session
    noisier = own.variance > session.variance * float(f.ppf(0.99, own.freedom, session.freedom))
    return own if noisier else session


def _half_of_rounds(by_process: Sequence[Values], confidence: float) -> float:
    """Half the width that the rounds within the processes alone would give; 0 for single rounds.

    A median of rounds has pi / 2 times the variance of their mean. On a busy machine a few rounds take many times as
    long as the others, which moves their variance but hardly their median; the deviation of the rounds is therefore
    Shamos's (the median of the differences of all pairs), pooled over the processes.
    """
    several = [rounds for rounds in by_process if len(rounds) > 1]
    if not several:
        return 0.0
    variance = math.pi / 2 * _deviation(several) ** 2 * float(np.mean([1 / len(rounds) for rounds in several]))
    freedom = sum(len(rounds) - 1 for rounds in several)
    return _student(freedom, confidence) * math.sqrt(variance / len(by_process))


def _deviation(groups: Sequence[Values]) -> float:
    """The standard deviation within groups, from the differences of all pairs of values within one.

    M. I. Shamos, "Geometry and statistics: problems at the interface" (1976); its efficiency for normal values is 86%
    (P. J. Rousseeuw and C. Croux, "Alternatives to the median absolute deviation", JASA 88 (1993)), and 29% of wild
    values do not break it.
    """
    pairs = [np.abs(values[:, None] - values[None, :])[np.triu_indices(len(values), 1)] for values in groups]
    return SHAMOS * float(np.median(np.concatenate(pairs)))


def _student(freedom: int, confidence: float) -> float:
    from scipy.stats import t

    return float(t.ppf(0.5 + confidence / 2, freedom))


def noise_floor_of_controls(controls: Sequence[float], *, confidence: float = 0.95) -> float:
    """The ratio, at least 1, up to which a file and itself are measured apart, from the A/A ratios of a session.

    A prediction interval: the log of one more A/A ratio, over the root mean square of those measured, has Student's t
    distribution, because its mean is known to be 0. With one control the floor is wide, with three or more it is
    useful. Raises :class:`ValueError` for no controls or ratios that are not positive.
    """
    if not controls or min(controls) <= 0:
        raise ValueError("a noise floor needs positive ratios of at least one A/A control")
    logs = np.log(np.asarray(controls, dtype=np.float64))
    deviation = math.sqrt(float(np.mean(logs**2)))
    return math.exp(max(RESOLUTION, min(10.0, _student(len(logs), confidence) * deviation)))


def ratio_verdict(measured: MeasuredRatio, floor: float = 1.0, *, useful_gain: float = 0.05) -> str:
    """The verdict on the first file against the second.

    ``faster`` or ``slower``: the whole interval lies beyond ``floor`` (:func:`noise_floor_of_controls`). ``no useful
    difference``: it lies between 1 / (1 + ``useful_gain``) and 1 + ``useful_gain``, and so does the floor. Otherwise
    the difference is not measurable in this session, which is not the same as no difference. No verdict for fewer than
    six rounds, or from one process each unless the variation between processes is known.
    """
    if measured.n_rounds < MIN_ROUNDS:
        return TOO_FEW_ROUNDS
    if not measured.covers_processes:
        return ONE_PROCESS
    if measured.high < 1 / floor:
        return FASTER
    if measured.low > floor:
        return SLOWER
    useful = 1 + useful_gain
    if 1 / useful < measured.low and measured.high < useful and floor < useful:
        return NO_USEFUL_DIFFERENCE
    return NOT_MEASURABLE


def percentile_interval(
    samples: Sequence[int] | Sequence[float], p: float, *, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Interval of the ``p``-th percentile (0 < p < 100) from order statistics, whatever the distribution.

    H. A. David and H. N. Nagaraja, "Order statistics" (2003), section 7.1: how many samples lie below the percentile is
    binomial. Samples must be independent: those of one process do not show how processes differ; use
    :func:`percentile_over_processes` for that. None where there are too few samples for the confidence.
    """
    from scipy.stats import binom

    n, tail = len(samples), (1 - confidence) / 2
    low = int(binom.ppf(tail, n, p / 100))
    high = int(binom.ppf(1 - tail, n, p / 100)) + 1
    if n == 0 or low < 1 or high > n:
        return None
    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    return float(ordered[low - 1]), float(ordered[high - 1])


def percentile_over_processes(
    by_process: Sequence[Sequence[int]] | Sequence[Sequence[float]], p: float, *, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Interval of the typical ``p``-th percentile of a process: Student's t on logarithms; None for one process."""
    if len(by_process) < 2:
        return None
    logs = np.log([float(np.percentile(np.asarray(samples, dtype=np.float64), p)) for samples in by_process])
    spread = float(np.std(logs, ddof=1)) / math.sqrt(len(logs))
    half = max(RESOLUTION, _student(len(logs) - 1, confidence) * spread)
    middle = float(logs.mean())
    return math.exp(middle - half), math.exp(middle + half)


def processes_needed(
    gap: float, variation: ProcessVariation, *, power: float = 0.80, confidence: float = 0.95, most: int = 1000
) -> int | None:
    """How many processes in all put the interval on one side of a margin at log distance ``gap``, 80% of the time.

    As in planning a t test, with the freedom of ``variation`` or that of so many processes, whichever is larger. None
    for no gap, or more than ``most``.
    """
    gap = abs(gap)
    z = NormalDist().inv_cdf(power)
    for count in range(2, most + 1):
        freedom = max(variation.freedom, count - 1)
        if (_student(freedom, confidence) + z) * math.sqrt(variation.variance / count) <= gap:
            return count
    return None
