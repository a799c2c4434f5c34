"""Accuracy of leaked against clean test images, compared class by class, so that the class mix has no effect.

Leaked images (which are also training images) are not spread evenly over the classes. Plain accuracy of the
clean ones mostly shows which classes are left. Here the differences within classes are averaged with the class shares
of the whole test split (direct standardisation). Duplicates among the test images count as clusters.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.stats.intervals import Interval

Values = NDArray[np.float64]
Classes = NDArray[np.integer[Any]]

HIGHER_ON_LEAKED = "higher on leaked images"
LOWER_ON_LEAKED = "lower on leaked images"
MAY_BE_TOO_HIGH = "may be too high"
NOT_COMPARABLE = "no class has both leaked and clean images"

FEW_PAIRS = 30
"""Fewer pairs of duplicates do not tell how alike the predictions on duplicates are: taken as equal then."""


@dataclass(frozen=True)
class ClassOfImages:
    """One class of the test split. Accuracies are None where it has no such images; ``weight`` is its share."""

    label: int
    weight: float
    n_leaked: int
    n_clean: int
    leaked: float | None
    clean: float | None


@dataclass(frozen=True)
class LeakComparison:
    """Class-standardised accuracies (0 to 1) of the classes that have both kinds of images, with their difference.

    ``left_out`` are the classes that have images of one kind only, ``covered`` the share of the test images in the
    others, whose weights are scaled up to 1. Intervals are None where there are no such classes.
    """

    leaked: Interval | None
    clean: Interval | None
    difference: Interval | None
    classes: tuple[ClassOfImages, ...]
    left_out: tuple[int, ...]
    covered: float
    similarity: float
    """Intraclass correlation of duplicates, 0 to 1: how far a prediction on one tells that on the other."""

    @property
    def verdict(self) -> str:
        """What can be said about an accuracy over all test images."""
        if self.difference is None:
            return NOT_COMPARABLE
        if self.difference.low > 0:
            return HIGHER_ON_LEAKED
        return LOWER_ON_LEAKED if self.difference.high < 0 else MAY_BE_TOO_HIGH


def compare_leaked(
    correct: Values,
    labels: Classes,
    leaked: NDArray[np.bool_],
    groups: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
) -> LeakComparison:
    """Compare ``correct`` (N,), 1 or 0 or a mean over seeds, of ``leaked`` (N,) and other images of classes ``labels``.

    ``groups`` (N,) names the group of duplicates of each test image. Each class and kind has the wider bounds of
    Wilson's and Jeffreys' intervals (L. D. Brown, T. T. Cai and A. DasGupta, "Interval estimation for a binomial
    proportion", Statistical Science 16 (2001)) for its effective number of images; the weighted sum and the difference
    combine them as X. Yan and X. G. Su do, "Stratified Wilson and Newcombe confidence intervals for multiple binomial
    proportions", Statistics in Biopharmaceutical Research 2 (2010). Either alone would cover 92% where a class of 13
    images, or a few groups, have most of the weight. The interval is about other such images, not about other seeds.
    Raises :class:`ValueError` for arrays of different lengths or no images.
    """
    names: Sequence[Hashable] = range(len(labels)) if groups is None else groups
    if not len(labels) or not len(correct) == len(labels) == len(leaked) == len(names):
        raise ValueError(f"arrays do not pair: {len(correct)}, {len(labels)}, {len(leaked)} and {len(names)}")
    cells = {
        (label, kind): np.flatnonzero((labels == label) & (leaked == kind))
        for label in np.unique(labels).tolist()
        for kind in (True, False)
    }
    similarity = similarity_of_duplicates(correct, list(cells.values()), names)
    strata = {
        cell: _Stratum(float(correct[where].mean()), effective_number([names[i] for i in where.tolist()], similarity))
        for cell, where in cells.items()
        if len(where)
    }
    present = np.unique(labels).tolist()
    both = [label for label in present if (label, True) in strata and (label, False) in strata]
    shares = {label: float(np.mean(labels == label)) for label in present}
    covered = sum(shares[label] for label in both)
    classes = tuple(
        ClassOfImages(
            label,
            shares[label],
            len(cells[label, True]),
            len(cells[label, False]),
            strata[label, True].share if (label, True) in strata else None,
            strata[label, False].share if (label, False) in strata else None,
        )
        for label in present
    )
    left_out = tuple(label for label in present if label not in both)
    if not both:
        return LeakComparison(None, None, None, classes, left_out, 0.0, similarity)
    weights = [shares[label] / covered for label in both]
    of_leaked = _weighted([strata[label, True] for label in both], weights, confidence)
    of_clean = _weighted([strata[label, False] for label in both], weights, confidence)
    return LeakComparison(
        leaked=of_leaked,
        clean=of_clean,
        difference=_difference(of_leaked, of_clean),
        classes=classes,
        left_out=left_out,
        covered=covered,
        similarity=similarity,
    )


@dataclass(frozen=True)
class _Stratum:
    share: float
    n: float
    """Effective number of images."""


def _weighted(strata: Sequence[_Stratum], weights: Sequence[float], confidence: float) -> Interval:
    estimate = sum(w * s.share for w, s in zip(weights, strata))
    bounds = [_bounds(s, confidence) for s in strata]
    below = math.sqrt(sum((w * (s.share - low)) ** 2 for w, s, (low, _) in zip(weights, strata, bounds)))
    above = math.sqrt(sum((w * (high - s.share)) ** 2 for w, s, (_, high) in zip(weights, strata, bounds)))
    deviation = math.sqrt(sum(w**2 * s.share * (1 - s.share) / s.n for w, s in zip(weights, strata)))
    return Interval(
        estimate, max(0.0, estimate - below), min(1.0, estimate + above), deviation, round(sum(s.n for s in strata))
    )


def _bounds(stratum: _Stratum, confidence: float) -> tuple[float, float]:
    """The wider of Wilson's and Jeffreys' interval on either side, for a number of images that need not be whole."""
    from scipy.stats import beta, norm

    p, n, tail = stratum.share, stratum.n, (1 - confidence) / 2
    z = float(norm.isf(tail))
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (float(beta.ppf(q, p * n + 0.5, (1 - p) * n + 0.5)) for q in (tail, 1 - tail))
    return max(0.0, min(p, low, centre - half)), min(1.0, max(p, high, centre + half))


def _difference(a: Interval, b: Interval) -> Interval:
    """A - b, as Newcombe (1998, method 10) combines two intervals."""
    estimate = a.estimate - b.estimate
    low = estimate - math.hypot(a.estimate - a.low, b.high - b.estimate)
    high = estimate + math.hypot(a.high - a.estimate, b.estimate - b.low)
    return Interval(estimate, low, high, math.hypot(a.deviation, b.deviation), min(a.n, b.n))


def similarity_of_duplicates(correct: Values, cells: Sequence[NDArray[np.int64]], groups: Sequence[Hashable]) -> float:
    """Intraclass correlation of ``correct`` (N,) in the same group, within cells that have different means; 0 to 1.

    The mean product of two images of a group about the mean of their cell, over the variance within cells (moment
    estimator). 1 where fewer than :data:`FEW_PAIRS` pairs or no variance show it, which is the careful assumption.
    """
    products = pairs = squares = 0.0
    freedom = 0
    for where in cells:
        if not len(where):
            continue
        rest = correct[where] - correct[where].mean()
        squares += float(np.sum(rest**2))
        freedom += len(where) - 1
        sums: dict[Hashable, list[float]] = defaultdict(list)
        for position, value in zip(where.tolist(), rest.tolist()):
            sums[groups[position]].append(value)
        for members in sums.values():
            products += sum(members) ** 2 - sum(value**2 for value in members)
            pairs += len(members) * (len(members) - 1)
    if pairs / 2 < FEW_PAIRS or squares == 0:
        return 1.0
    return min(1.0, max(0.0, products / pairs / (squares / max(1, freedom))))


def effective_number(groups: Sequence[Hashable], similarity: float) -> float:
    """How many independent images are worth as much as these, of which some are duplicates.

    N over the design effect 1 + (mean group size as an image sees it - 1) x ``similarity`` (L. Kish, "Survey sampling"
    (1965), section 5.4). With ``groups`` that all differ it is their number.
    """
    counts: dict[Hashable, int] = defaultdict(int)
    for group in groups:
        counts[group] += 1
    n = len(groups)
    seen = sum(size**2 for size in counts.values()) / n
    return n / (1 + (seen - 1) * similarity)


def accuracy_with_duplicates(correct: Values, groups: Sequence[Hashable], *, confidence: float = 0.95) -> Interval:
    """Accuracy of ``correct`` (N,) with its interval for the effective number of images."""
    everything = np.arange(len(correct))
    n = effective_number(groups, similarity_of_duplicates(correct, [everything], groups))
    return _weighted([_Stratum(float(correct.mean()), n)], [1.0], confidence)
