"""Non-inferiority of an exported file: how much accuracy it loses against its Keras model, and whether that is allowed.

The loss is paired by image. The verdict comes from one-sided bounds, never from the estimate alone: *held* where the
upper bound is at most the limit, *failed* where the lower bound is above it, *undecided* otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgekit.stats.bisection import crossing, smallest
from edgekit.stats.intervals import paired_difference_interval, wilson_interval

Verdict = Literal["held", "undecided", "failed"]

HELD: Verdict = "held"
UNDECIDED: Verdict = "undecided"
FAILED: Verdict = "failed"

ALPHA = 0.05
"""Error rate of each one-sided bound: a file that loses exactly the limit is accepted in at most 5% of cases."""

_NOMINAL = 0.96
"""The part of the error rate that the two approximate bounds are computed with, so that the true one stays below it."""

POWER = 0.80

MOST_IMAGES = 10_000_000
"""Above this, "more images" is no advice and :func:`images_to_decide` gives None."""

Classes = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Bounds:
    """One-sided bounds; each has the error rate alpha, so that together they form a (1 - 2 alpha) interval."""

    lower: float
    upper: float


@dataclass(frozen=True)
class GateLimits:
    """The limits for an exported file. All are fractions: 0.01 is one point."""

    max_loss: float
    min_agreement: float = 0.0
    max_class_loss: float = 1.0


@dataclass(frozen=True)
class ClassLoss:
    """Images of one true class: ``worse`` changed from correct to wrong, ``better`` from wrong to correct."""

    label: int
    n_images: int
    worse: int
    better: int
    bounds: Bounds
    verdict: Verdict
    over_limit: bool
    """Whether the observed loss is above the limit, which is reason enough to name the class."""

    @property
    def loss(self) -> float:
        return (self.worse - self.better) / self.n_images


@dataclass(frozen=True)
class GateDecision:
    """The decision and the evidence behind it. ``loss`` is positive where the exported file is worse."""

    verdict: Verdict
    loss_verdict: Verdict
    agreement_verdict: Verdict
    limits: GateLimits
    n_images: int
    worse: int
    better: int
    loss: float
    bounds: Bounds
    agreement: float
    agreement_bounds: Bounds
    classes: tuple[ClassLoss, ...]
    images_needed: int | None
    """Images in all that would decide about the loss with 80% power; None where it is decided or no number would."""

    @property
    def classes_over_limit(self) -> tuple[ClassLoss, ...]:
        """The classes to name, the one that loses most first."""
        return tuple(sorted((c for c in self.classes if c.over_limit), key=lambda c: -c.loss))

    @property
    def more_images(self) -> int | None:
        return None if self.images_needed is None else self.images_needed - self.n_images


def score_bounds(worse: int, better: int, n: int, alpha: float = ALPHA) -> Bounds:
    """Bounds of (worse - better) / n by Tango's score test of a paired difference of two proportions.

    T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", Statistics in Medicine 17 (1998). The bounds are where his test statistic crosses the normal quantile.
    Raises :class:`ValueError` for counts that do not fit.
    """
    _check(worse, better, n)
    z = NormalDist().inv_cdf(1 - alpha)
    estimate = (worse - better) / n
    upper = crossing(lambda d: _score_statistic(worse, better, n, d) + z, estimate, 1.0)
    lower = -crossing(lambda d: _score_statistic(better, worse, n, d) + z, -estimate, 1.0)
    return Bounds(lower, upper)


def _score_statistic(worse: int, better: int, n: int, difference: float) -> float:
    """Tango's statistic under the hypothesis that the true difference is ``difference``; falls as that rises."""
    a, b = 2 * n, -worse - better + (2 * n - worse + better) * difference
    c = -better * difference * (1 - difference)
    # The maximum likelihood estimate of P(wrong to correct) under the hypothesis.
    won = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * won + difference * (1 - difference))
    distance = worse - better - n * difference
    if variance <= 0:
        return 0.0 if distance == 0 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def paired_loss_bounds(worse: int, better: int, n: int, alpha: float = ALPHA) -> Bounds:
    """One-sided bounds of the lost accuracy (worse - better) / n, never equal to each other.

    The widest of several bounds on either side. Tango's score bound alone accepts a file that loses the limit in up to
    6.0% of cases (few images, few changes), and the adjusted Wald bound of Bonett and Price (2012) in up to 6.1% (loss
    near the change rate). Both are approximations, so they are taken at 96% of the error rate. Where every change is a
    loss, the number of losses is binomial, and its exact bound (C. J. Clopper and E. S. Pearson, Biometrika 26 (1934))
    is a third upper one: without it, 135 images without a change would show that less than 2 points are lost. Together
    they keep to 5% for 100 to 3,000 images, change rates of 1 to 15% and limits of 0.5 to 3 points (exact enumeration
    of 3,002 cases; some of them in ``tests/stats``). Raises :class:`ValueError` for counts that do not fit.
    """
    score = score_bounds(worse, better, n, _NOMINAL * alpha)
    lower, upper = paired_difference_interval(worse, better, n, 1 - 2 * _NOMINAL * alpha)
    exact = -1.0 if better > worse else _largest_share(worse - better, n, alpha)
    return Bounds(min(lower, score.lower), max(upper, score.upper, exact))


def _largest_share(count: int, n: int, alpha: float) -> float:
    """The exact upper bound of a binomial proportion."""
    from scipy.special import betaincinv

    return 1.0 if count == n else float(betaincinv(count + 1, n - count, 1 - alpha))


def judge_loss(bounds: Bounds, limit: float) -> Verdict:
    """``held``, ``failed`` or ``undecided``; a loss of exactly the limit is allowed."""
    if bounds.upper <= limit:
        return HELD
    return FAILED if bounds.lower > limit else UNDECIDED


def judge_floor(bounds: Bounds, floor: float) -> Verdict:
    """The same for a share that must be at least ``floor``."""
    if bounds.lower >= floor:
        return HELD
    return FAILED if bounds.upper < floor else UNDECIDED


def judge_export(
    keras: Classes, exported: Classes, labels: Classes, n_classes: int, limits: GateLimits
) -> GateDecision:
    """Judge predicted classes ``exported`` (N,) against ``keras`` (N,), the true classes being ``labels`` (N,).

    The file *failed* where the loss, the agreement or the loss of a class is shown to break its limit; for classes at
    Bonferroni's error rate alpha / classes, because one of many is enough. It is *held* where the loss and the
    agreement are shown to keep their limits and no class is observed to lose more than its limit: with the few images
    of a class nobody can show more. Raises :class:`ValueError` for no images or arrays of different lengths.
    """
    if not len(labels) or not len(keras) == len(exported) == len(labels):
        raise ValueError(f"predictions and labels do not pair: {len(keras)}, {len(exported)} and {len(labels)}")
    n = len(labels)
    lost, won = (keras == labels) & (exported != labels), (keras != labels) & (exported == labels)
    worse, better, same = int(lost.sum()), int(won.sum()), int((keras == exported).sum())
    bounds = paired_loss_bounds(worse, better, n)
    agreement_bounds = Bounds(*wilson_interval(same, n, 1 - 2 * ALPHA))
    classes = tuple(
        _class_loss(label, lost[of_class], won[of_class], limits.max_class_loss, n_classes)
        for label in range(n_classes)
        if (of_class := labels == label).any()
    )
    loss_verdict = judge_loss(bounds, limits.max_loss)
    agreement_verdict = judge_floor(agreement_bounds, limits.min_agreement)
    verdicts = [loss_verdict, agreement_verdict, *(c.verdict for c in classes if c.over_limit)]
    return GateDecision(
        verdict=FAILED if FAILED in verdicts else UNDECIDED if UNDECIDED in verdicts else HELD,
        loss_verdict=loss_verdict,
        agreement_verdict=agreement_verdict,
        limits=limits,
        n_images=n,
        worse=worse,
        better=better,
        loss=(worse - better) / n,
        bounds=bounds,
        agreement=same / n,
        agreement_bounds=agreement_bounds,
        classes=classes,
        images_needed=images_to_decide(worse, better, n, limits.max_loss) if loss_verdict == UNDECIDED else None,
    )


def _class_loss(label: int, lost: NDArray[np.bool_], won: NDArray[np.bool_], limit: float, n_classes: int) -> ClassLoss:
    worse, better, n = int(lost.sum()), int(won.sum()), len(lost)
    bounds = paired_loss_bounds(worse, better, n)
    verdict = judge_loss(bounds, limit)
    if verdict == FAILED and paired_loss_bounds(worse, better, n, ALPHA / n_classes).lower <= limit:
        verdict = UNDECIDED
    return ClassLoss(label, n, worse, better, bounds, verdict, (worse - better) / n > limit)


def images_to_decide(
    worse: int, better: int, n: int, limit: float, *, power: float = POWER, alpha: float = ALPHA
) -> int | None:
    """How many images in all bring a verdict with probability ``power``, if loss and change rate stay as observed.

    The sample size at which the bound of Bonett and Price still decides when the estimate comes out ``z(power)``
    standard errors on the wrong side. The change rate is taken with one image added that loses and one that wins, so
    that no observed change does not mean no possible change. None where the observed loss equals the limit, or where
    more than ten million images were needed. Raises :class:`ValueError` for counts that do not fit.
    """
    _check(worse, better, n)
    loss, changed = (worse - better) / n, min(1.0, (worse + better + 2) / (n + 2))
    gap = abs(limit - loss)
    if gap < 1e-12:
        return None
    z_bound, z_power = NormalDist().inv_cdf(1 - _NOMINAL * alpha), NormalDist().inv_cdf(power)
    sign = 1 if loss < limit else -1

    def decides(images: int) -> bool:
        centre = loss * images / (images + 2)
        variance = (changed * images + 2) / (images + 2) - centre**2
        half = z_bound * math.sqrt(variance / (images + 2)) + z_power * math.sqrt((changed - loss**2) / images)
        return sign * (limit - centre) >= half

    return smallest(decides, n + 1, MOST_IMAGES)


def _check(worse: int, better: int, n: int) -> None:
    if n <= 0 or worse < 0 or better < 0 or worse + better > n:
        raise ValueError(f"{worse} and {better} of {n} are not discordant counts")


def verdict_rates(n: int, change_rate: float, loss: float, limit: float, alpha: float = ALPHA) -> tuple[float, float]:
    """Exact probabilities of *held* and *failed* for a file that changes ``change_rate`` of the predictions.

    All pairs of discordant counts are enumerated, (wrong to correct, correct to wrong) being trinomial with the true
    ``loss``. For planning, and for the tests of this module. Raises :class:`ValueError` for a loss above the rate.
    """
    from scipy.stats import binom

    if abs(loss) > change_rate:
        raise ValueError(f"a loss of {loss} is not possible where {change_rate} of the predictions change")
    spread = math.sqrt(n * change_rate * (1 - change_rate))
    first = max(0, int(n * change_rate - 6 * spread))
    last = min(n, int(n * change_rate + 6 * spread) + 6)
    share = (change_rate + loss) / (2 * change_rate)
    held = failed = 0.0
    for changed in range(first, last + 1):
        weight = float(binom.pmf(changed, n, change_rate))
        # Verdicts are monotonic in ``worse``: held up to one count, failed from another.
        held_up_to = _last_held(changed, n, limit, alpha)
        failed_from = _first_failed(changed, n, limit, alpha)
        held += weight * float(binom.cdf(held_up_to, changed, share))
        failed += weight * float(binom.sf(failed_from - 1, changed, share))
    return held, failed


def _last_held(changed: int, n: int, limit: float, alpha: float) -> int:
    """The largest number of lost images among ``changed`` that is still held; -1 if none is."""
    first = smallest(lambda worse: paired_loss_bounds(worse, changed - worse, n, alpha).upper > limit, 0, changed)
    return changed if first is None else first - 1


def _first_failed(changed: int, n: int, limit: float, alpha: float) -> int:
    """The smallest number of lost images among ``changed`` that fails; ``changed`` + 1 if none does."""
    first = smallest(lambda worse: paired_loss_bounds(worse, changed - worse, n, alpha).lower > limit, 0, changed)
    return changed + 1 if first is None else first
