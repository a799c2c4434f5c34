"""Whether models differ: tests and intervals for pairs, over seeds, and for many models at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

RESAMPLES = 4000
"""Resamples of a bootstrap; its interval's ends are then known to about a fortieth of its width."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval. ``deviation`` is its standard error; ``n`` what it was estimated from."""

    estimate: float
    low: float
    high: float
    deviation: float
    n: int


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided p of the exact McNemar test: ``only_a`` images that only A got right, ``only_b`` that only B did.

    Q. McNemar, Psychometrika 12 (1947), in its exact (binomial) form. 1.0 where the two never differ.
    """
    from scipy.stats import binomtest

    discordant = only_a + only_b
    return float(binomtest(only_a, discordant, 0.5).pvalue) if discordant else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, in the same order.

    Rejecting those at or below alpha keeps the chance of any false rejection at alpha, whatever depends on what.
    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
    """
    adjusted = [1.0] * len(p_values)
    reached = 0.0
    for place, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        reached = max(reached, min(1.0, (len(p_values) - place) * p_values[i]))
        adjusted[i] = reached
    return adjusted


def paired_bootstrap(
    differences: Values, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Percentile interval of the mean of ``differences`` (N,), one per image, by drawing images with replacement.

    B. Efron and R. Tibshirani, "An introduction to the bootstrap" (1993), chapter 13. The few different values that
    answers give (-1, 0, 1, or means of them over seeds) are drawn by their counts, which is the same and much faster.
    Raises :class:`ValueError` where there are none.
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
    """Mean difference of two kinds of model for any seed and any such image, from ``differences`` (seeds, images).

    Two sources of chance add up: the seeds, ``s1^2 / S``, and the test images, ``s2^2 / N`` where s2 is the deviation
    over images of the mean over seeds (Bouthillier et al., "Accounting for variance in machine learning benchmarks",
    MLSys 2021, ask for both). The interval is Student's t with the degrees of freedom of F. E. Satterthwaite,
    Biometrics Bulletin 2 (1946). It is a little too wide, because the mean over few seeds has some of the seeds'
    chance in it, never too narrow for that reason. Raises :class:`ValueError` for fewer than two seeds or images.
    """
    from scipy.stats import t

    mean, variance, freedom = _seeds_and_images(differences)
    half = float(t.ppf(0.5 + confidence / 2, freedom)) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half, math.sqrt(variance), len(differences))


def p_over_seeds_and_images(differences: Values) -> float:
    """Two-sided p of no difference, for any seed and any such image: the test of :func:`over_seeds_and_images`."""
    from scipy.stats import t

    mean, variance, freedom = _seeds_and_images(differences)
    if variance == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * t.sf(abs(mean) / math.sqrt(variance), freedom))


def _seeds_and_images(differences: Values) -> tuple[float, float, float]:
    """Mean, its variance, and the degrees of freedom of that."""
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
    """Interval of the difference of two accuracies of which no single answers are known, a - b.

    R. G. Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine 17
    (1998), method 10. For models scored on the same images it is wider than a paired one would be.
    """
    from edgekit.stats.intervals import wilson_interval

    a, b = correct_a / n_a, correct_b / n_b
    (low_a, high_a), (low_b, high_b) = (
        wilson_interval(correct_a, n_a, confidence),
        wilson_interval(correct_b, n_b, confidence),
    )
    low = a - b - math.hypot(a - low_a, high_b - b)
    high = a - b + math.hypot(high_a - a, b - low_b)
    return Interval(a - b, low, high, math.sqrt(a * (1 - a) / n_a + b * (1 - b) / n_b), min(n_a, n_b))


def log_ratio(a: Sequence[float], b: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Interval of the ratio of typical values of ``a`` to ``b``, which do not pair: Welch's t on logarithms.

    B. L. Welch, "The generalization of Student's problem", Biometrika 34 (1947). ``deviation`` is that of the
    logarithm. Raises :class:`ValueError` for fewer than two values of either or values that are not positive.
    """
    from scipy.stats import t

    if min(len(a), len(b)) < 2 or min(*a, *b) <= 0:
        raise ValueError("a ratio needs at least two positive values of both")
    first, second = np.log(a), np.log(b)
    parts = [float(np.var(x, ddof=1)) / len(x) for x in (first, second)]
    middle, variance = float(first.mean() - second.mean()), sum(parts)
    if variance == 0:
        return Interval(math.exp(middle), math.exp(middle), math.exp(middle), 0.0, min(len(a), len(b)))
    freedom = variance**2 / sum(part**2 / (len(x) - 1) for part, x in zip(parts, (first, second)))
    half = float(t.ppf(0.5 + confidence / 2, freedom)) * math.sqrt(variance)
    bounds = (math.exp(middle - half), math.exp(middle + half))
    return Interval(math.exp(middle), *bounds, math.sqrt(variance), min(len(a), len(b)))


@dataclass(frozen=True)
class Ranking:
    """Models by average rank (1 is best) over blocks, the best first.

    ``order`` are positions of the K models, ``ranks`` their average ranks in the order they were given. Models whose
    ranks differ by less than ``critical_difference`` are not told apart; ``cliques`` are the largest sets of such.
    ``p`` is Friedman's: small where the models differ at all.
    """

    order: list[int]
    ranks: list[float]
    critical_difference: float
    cliques: list[list[int]]
    p: float
    n_blocks: int


def rank_models(scores: Values, *, alpha: float = 0.05) -> Ranking:
    """Rank K models by ``scores`` (K, blocks), higher is better; blocks are data sets, seeds or folds.

    Friedman's test, corrected for equal scores as SciPy's is, with the Nemenyi critical difference: J. Demsar,
    "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006). Raises :class:`ValueError` for
    fewer than two models or blocks.
    """
    from scipy.stats import chi2, rankdata, studentized_range

    models, blocks = scores.shape
    if models < 2 or blocks < 2:
        raise ValueError("a ranking needs at least two models and two blocks")
    of_blocks = rankdata(-scores, axis=0)
    ranks = of_blocks.mean(axis=1)
    # Between the models over within the blocks: equal scores share a rank, which makes the latter smaller.
    within = float(((of_blocks - (models + 1) / 2) ** 2).sum()) / (models - 1)
    between = blocks**2 * float(((ranks - (models + 1) / 2) ** 2).sum())
    statistic = between / within if within else 0.0
    # The studentized range for infinitely many degrees of freedom, over sqrt(2), as in Demsar's table 5.
    q = float(studentized_range.ppf(1 - alpha, models, np.inf)) / math.sqrt(2)
    difference = q * math.sqrt(models * (models + 1) / (6 * blocks))
    order = [int(i) for i in np.argsort(ranks, kind="stable")]
    told = [[abs(float(ranks[a] - ranks[b])) >= difference for b in range(models)] for a in range(models)]
    return Ranking(
        order=order,
        ranks=[float(rank) for rank in ranks],
        critical_difference=difference,
        cliques=cliques(order, told),
        p=float(chi2.sf(statistic, models - 1)),
        n_blocks=blocks,
    )


def cliques(order: Sequence[int], told_apart: Sequence[Sequence[bool]]) -> list[list[int]]:
    """The longest stretches of ``order`` in which no two are told apart, single ones left out."""
    found: list[list[int]] = []
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not any(told_apart[order[end]][other] for other in order[start:end]):
            end += 1
        if end - start > 1 and not (found and set(order[start:end]) <= set(found[-1])):
            found.append(list(order[start:end]))
    return found


def images_needed(gap: float, deviation: float, n: int, *, confidence: float = 0.95) -> int | None:
    """How many images in all make the interval half as wide as ``gap`` asks, if the estimate stays; None: no number.

    ``deviation`` is the standard error with ``n`` images, which falls with the root of their number.
    """
    if gap <= 0:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    return max(n, math.ceil(n * (z * deviation / gap) ** 2))


def seeds_needed(gap: float, spread: float, n: int, *, confidence: float = 0.95, most: int = 10_000) -> int | None:
    """How many seeds in all bring Student's half width below ``gap``, with ``spread`` the deviation between seeds."""
    from scipy.stats import t

    if gap <= 0:
        return None
    for seeds in range(max(2, n), most + 1):
        if float(t.ppf(0.5 + confidence / 2, seeds - 1)) * spread / math.sqrt(seeds) < gap:
            return seeds
    return None
