"""Confidence intervals: of proportions, means and ratios, paired or not, over images and over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

RESAMPLES = 4000
"""Resamples of a bootstrap; the ends of its interval are then known to about a fortieth of its width."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval. ``deviation`` is its standard error; ``n`` what it was estimated from."""

    estimate: float
    low: float
    high: float
    deviation: float
    n: int


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion, within [0, 1].

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    Raises :class:`ValueError` unless 0 <= successes <= n and n > 0.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is not a proportion")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # At the ends the interval touches 0 or 1 exactly; rounding must not leave it 1e-17 beside.
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


def paired_difference_interval(worse: int, better: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the difference of two proportions on the same ``n`` subjects, within [-1, 1].

    ``worse`` subjects changed from right to wrong and ``better`` from wrong to right; the difference is
    (worse - better) / n. Wald's interval with one added to both counts: D. G. Bonett and R. M. Price, "Adjusted Wald
    confidence interval for a difference of binomial proportions based on paired data", JEBS 37 (2012).
    Raises :class:`ValueError` for counts that do not fit.
    """
    if n <= 0 or worse < 0 or better < 0 or worse + better > n:
        raise ValueError(f"{worse} and {better} of {n} are not discordant counts")
    middle, deviation = _bonett_price(worse - better, worse + better, n)
    half = _z(confidence) * deviation
    return max(-1.0, middle - half), min(1.0, middle + half)


def paired_mean_interval(differences: Values, *, confidence: float = 0.95) -> Interval:
    """Interval of the mean of ``differences`` (N,), one per image: :func:`paired_difference_interval` in general form.

    A difference may be any number, such as a mean of -1, 0 and 1 over seeds or corruptions. One image is added that
    loses everything (1) and one that wins everything (-1), so that a few images without a difference prove nothing.
    The interval does not reach beyond 1, nor beyond the largest difference where that is larger. Raises
    :class:`ValueError` if there are none.
    """
    n = len(differences)
    if not n:
        raise ValueError("an interval needs at least one difference")
    middle, deviation = _bonett_price(float(differences.sum()), float(np.square(differences).sum()), n)
    half, limit = _z(confidence) * deviation, max(1.0, float(np.abs(differences).max()))
    low, high = max(-limit, middle - half), min(limit, middle + half)
    return Interval(float(differences.mean()), low, high, deviation, n)


def _bonett_price(total: float, squares: float, n: int) -> tuple[float, float]:
    """Mean and standard error of ``n`` differences with this sum and sum of squares, with 1 and -1 added."""
    mean = total / (n + 2)
    return mean, math.sqrt(((squares + 2) / (n + 2) - mean**2) / (n + 2))


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def paired_bootstrap(
    differences: Values, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Percentile interval of the mean of ``differences`` (N,), one per image, by drawing images with replacement.

    B. Efron and R. Tibshirani, "An introduction to the bootstrap" (1993), chapter 13. The few different values that
    predictions give (-1, 0, 1, or means of them over seeds) are drawn by their counts: the same, but much faster.
    Raises :class:`ValueError` if there are none.
    """
    if not len(differences):
        raise ValueError("there is nothing to draw from")
    values, counts = np.unique(differences, return_counts=True)
    n = len(differences)
    draws = np.random.default_rng(seed).multinomial(n, counts / n, size=resamples)
    means = draws @ values / n
    tail = 50 * (1 - confidence)
    low, high = np.percentile(means, [tail, 100 - tail])
    return Interval(float(np.mean(differences)), float(low), float(high), float(np.std(means)), n)


def mean_interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Mean of at least two values with Student's t interval: over seeds, for instance.

    Student, "The probable error of a mean", Biometrika 6 (1908). Raises :class:`ValueError` for fewer than two.
    """
    from scipy.stats import t

    n = len(values)
    if n < 2:
        raise ValueError("an interval needs at least two values")
    mean = float(np.mean(values))
    deviation = float(np.std(values, ddof=1)) / math.sqrt(n)
    half = float(t.ppf(0.5 + confidence / 2, n - 1)) * deviation
    return Interval(mean, mean - half, mean + half, deviation, n)


def over_seeds_and_images(differences: Values, *, confidence: float = 0.95) -> Interval:
    """Mean difference of two models for any seed and any such image, from ``differences`` (seeds, images).

    Two sources of chance add up: the seeds, ``s1^2 / S``, and the test images, ``s2^2 / N`` where s2 is the deviation
    over images of the mean over seeds (Bouthillier et al., "Accounting for variance in machine learning benchmarks",
    MLSys 2021, ask for both). The interval is Student's t with the degrees of freedom of F. E. Satterthwaite,
    Biometrics Bulletin 2 (1946). It is a little too wide, because the mean over few seeds has some of the seeds'
    chance in it, never too narrow for that reason. Where nothing varies it is :func:`paired_mean_interval`: seeds that
    happen to agree do not make an interval of width 0. Raises :class:`ValueError` for fewer than two seeds or images.
    """
    from scipy.stats import t

    mean, variance, freedom = variance_over_seeds_and_images(differences)
    if variance == 0:
        return paired_mean_interval(differences.mean(axis=0), confidence=confidence)
    half = float(t.ppf(0.5 + confidence / 2, freedom)) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half, math.sqrt(variance), len(differences))


def variance_over_seeds_and_images(differences: Values) -> tuple[float, float, float]:
    """Mean of ``differences`` (seeds, images), the variance of that mean, and the variance's degrees of freedom."""
    seeds, images = differences.shape
    if seeds < 2 or images < 2:
        raise ValueError("this needs at least two seeds and two images")
    of_seeds = float(np.var(differences.mean(axis=1), ddof=1)) / seeds
    of_images = float(np.var(differences.mean(axis=0), ddof=1)) / images
    variance = of_seeds + of_images
    if variance == 0:
        return float(differences.mean()), 0.0, float(seeds - 1)
    freedom = variance**2 / (of_seeds**2 / (seeds - 1) + of_images**2 / (images - 1))
    return float(differences.mean()), variance, freedom


def unpaired_difference(correct_a: int, n_a: int, correct_b: int, n_b: int, *, confidence: float = 0.95) -> Interval:
    """Interval of the difference a - b of two accuracies, where single predictions are not known.

    R. G. Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine 17
    (1998), method 10. For models scored on the same images it is wider than a paired one would be.
    """
    a, b = correct_a / n_a, correct_b / n_b
    (low_a, high_a), (low_b, high_b) = (
        wilson_interval(correct_a, n_a, confidence),
        wilson_interval(correct_b, n_b, confidence),
    )
    low = a - b - math.hypot(a - low_a, high_b - b)
    high = a - b + math.hypot(high_a - a, b - low_b)
    return Interval(a - b, low, high, math.sqrt(a * (1 - a) / n_a + b * (1 - b) / n_b), min(n_a, n_b))


def log_ratio(a: Sequence[float], b: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Interval of the logarithm of the ratio of typical values of ``a`` to ``b``, which do not pair: Welch's t.

    B. L. Welch, "The generalization of Student's problem", Biometrika 34 (1947). It stays on the logarithmic scale,
    because two values and a high confidence give bounds whose exponential is no number. Raises :class:`ValueError` for
    fewer than two values of either or values that are not positive.
    """
    from scipy.stats import t

    if min(len(a), len(b)) < 2 or min(*a, *b) <= 0:
        raise ValueError("a ratio needs at least two positive values of both")
    first, second = np.log(a), np.log(b)
    parts = [float(np.var(x, ddof=1)) / len(x) for x in (first, second)]
    middle, variance = float(first.mean() - second.mean()), sum(parts)
    if variance == 0:
        return Interval(middle, middle, middle, 0.0, min(len(a), len(b)))
    freedom = variance**2 / sum(part**2 / (len(x) - 1) for part, x in zip(parts, (first, second)))
    half = float(t.ppf(0.5 + confidence / 2, freedom)) * math.sqrt(variance)
    return Interval(middle, middle - half, middle + half, math.sqrt(variance), min(len(a), len(b)))
