"""Comparison with the best: which of many exported files may be the most accurate, and how accurate the chosen one is.

All of them are judged on the same images. Reporting only the highest accuracy has two faults: files that cannot be
distinguished from it go unmentioned, and the highest of many accuracies is partly due to luck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edgekit.stats.intervals import Interval, wilson_interval
from edgekit.stats.seeds_and_images import method_mean

Values = NDArray[np.float64]

DRAWS = 8_000
"""Draws of the joint distribution; the critical values are then known to about 0.03."""


@dataclass(frozen=True)
class ComparisonWithBest:
    """K exported files against the best of the others.

    ``low`` and ``high`` (K,) bound accuracy minus that of the best other file, all at once with the stated confidence;
    ``high`` 0 means that the file is not the best, ``low`` 0 that it is. ``shortfall`` (K,) is what a file loses at
    least against the best, 0 if it may be the best; it holds with that confidence for each file by itself.
    ``candidates`` are the positions that cannot be told from the best, the highest accuracy first: the best file is
    among them with that confidence.
    """

    accuracies: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    shortfall: tuple[float, ...]
    candidates: tuple[int, ...]
    of_methods: bool
    """False: one seed each, so that the comparison is of these trained networks only."""
    confidence: float

    @property
    def winner(self) -> int | None:
        """The one file that is shown to be the best; None where there are several candidates."""
        return self.candidates[0] if len(self.candidates) == 1 else None

    def within(self, allowed_loss: float) -> tuple[int, ...]:
        """The files shown to lose at most ``allowed_loss`` (a fraction) against the best, whichever that is."""
        return tuple(i for i, low in enumerate(self.low) if low >= -allowed_loss)


def compare_with_best(correct: Values, *, confidence: float = 0.95, seed: int = 0) -> ComparisonWithBest:
    """Hsu's multiple comparisons with the best for ``correct`` (K, N), or (K, seeds, N) with two seeds or more.

    J. C. Hsu, "Simultaneous confidence intervals for all distances from the best", Annals of Statistics 9 (1981), and
    D. G. Edwards and J. C. Hsu, "Multiple comparisons with the best treatment", JASA 78 (1983), with each file in turn
    as the reference of one-sided comparisons. Standard errors are those of pairs: over images, and over seeds where
    there are several, with Bonett and Price's two added images, so that equal predictions are no proof. Critical
    values come from the joint normal distribution with the estimated correlations; for the seeds' part the same error
    rate is taken from Student's t. Raises :class:`ValueError` for other shapes or fewer than two images.
    """
    table = _with_seeds(correct)
    count, seeds, images = table.shape
    accuracies = table.mean(axis=(1, 2))
    if count == 1:
        return ComparisonWithBest((float(accuracies[0]),), (0.0,), (0.0,), (0.0,), (0,), seeds > 1, confidence)
    of_seeds, of_images, alone, covariance = _pair_variances(table)
    centres = (accuracies[:, None] - accuracies[None, :]) * images / (images + 2)
    critical = _critical_values(covariance, confidence, seed)
    half = _half_widths(critical, of_seeds, of_images, alone, seeds)
    # With i as the reference: how much better than every other it may be, and in turn how much worse they may be.
    off = ~np.eye(count, dtype=bool)
    ahead = np.where(off, centres + half, np.inf).min(axis=1)
    high = np.maximum(0.0, ahead)
    best = [int(i) for i in np.argsort(-accuracies, kind="stable") if high[i] > 0]
    low = []
    for i in range(count):
        rivals = [j for j in best if j != i]
        worst = min((float(centres[i, j] - half[j, i]) for j in rivals), default=0.0)
        low.append(min(0.0, worst))
    return ComparisonWithBest(
        accuracies=tuple(float(a) for a in accuracies),
        low=tuple(max(-1.0, bound) for bound in low),
        high=tuple(min(1.0, float(bound)) for bound in high),
        shortfall=tuple(min(1.0, max(0.0, -float(bound))) for bound in ahead),
        candidates=tuple(best),
        of_methods=seeds > 1,
        confidence=confidence,
    )


def _with_seeds(correct: Values) -> Values:
    table = correct[:, None, :] if correct.ndim == 2 else correct
    if table.ndim != 3 or min(table.shape[:2]) < 1 or table.shape[2] < 2:
        raise ValueError(f"expected (files, images) or (files, seeds, images). Received: {correct.shape}")
    return np.asarray(table, dtype=np.float64)


def _pair_variances(table: Values) -> tuple[Values, Values, Values, Values]:
    """Of the mean difference of each pair (K, K): the seeds' part, the images' net and gross; and the K's covariance.

    The parts are those of :func:`edgekit.stats.seeds_and_images.paired_methods`, all pairs at once.
    """
    _, seeds, images = table.shape
    by_image = table.mean(axis=1)
    centred = by_image - by_image.mean(axis=1, keepdims=True)
    squares = _pair_squares(centred)
    difference = by_image.mean(axis=1)[:, None] - by_image.mean(axis=1)[None, :]
    n = images + 2
    # Two images are added to every pair: one that the first wins, one that the second wins.
    alone = ((squares + images * difference**2 + 2) / n - (images * difference / n) ** 2) / n
    covariance = centred @ centred.T / images**2
    if seeds == 1:
        return np.zeros_like(alone), alone, alone, covariance
    of_seed = table.mean(axis=2)
    of_seed = of_seed - of_seed.mean(axis=1, keepdims=True)
    of_seeds = _pair_squares(of_seed) / (seeds - 1) / seeds
    rest = table - table.mean(axis=2, keepdims=True) - by_image[:, None, :] + table.mean(axis=(1, 2), keepdims=True)
    own = _pair_squares(rest.reshape(len(table), -1)) / ((seeds - 1) * (images - 1)) / (seeds * images)
    covariance = covariance + of_seed @ of_seed.T / (seeds - 1) / seeds
    return of_seeds, np.maximum(0.0, alone - own), alone, covariance


def _pair_squares(rows: Values) -> Values:
    """(K, K): squared distances of the rows (K, M)."""
    gram = rows @ rows.T
    squares = np.diag(gram)
    return np.asarray(np.maximum(0.0, squares[:, None] + squares[None, :] - 2 * gram))


def _critical_values(covariance: Values, confidence: float, seed: int) -> Values:
    """(K,): with i as the reference, the quantile of the largest standardised difference to another."""
    count = len(covariance)
    errors = _joint_errors(covariance, np.random.default_rng(seed))
    diagonal = np.diag(covariance)
    deviations = np.sqrt(np.maximum(0.0, diagonal[:, None] + diagonal[None, :] - 2 * covariance))
    lowest = NormalDist().inv_cdf(confidence)
    critical = []
    for i in range(count):
        others = (deviations[i] > 1e-9) & (np.arange(count) != i)
        if not others.any():
            critical.append(lowest)
            continue
        largest = ((errors[:, others] - errors[:, [i]]) / deviations[i, others]).max(axis=1)
        critical.append(max(lowest, float(np.quantile(largest, confidence))))
    return np.array(critical)


def _joint_errors(covariance: Values, rng: np.random.Generator) -> Values:
    """(draws, K): normal with that covariance, which need not have full rank."""
    values, vectors = np.linalg.eigh(covariance)
    draws = rng.standard_normal((DRAWS, len(covariance)))
    return np.asarray(draws * np.sqrt(np.maximum(values, 0.0)) @ vectors.T)


def _half_widths(critical: Values, of_seeds: Values, of_images: Values, alone: Values, seeds: int) -> Values:
    """(K, K): row i is with i as the reference."""
    from scipy.stats import norm, t

    z = critical[:, None] ** 2
    if seeds == 1:
        return np.asarray(np.sqrt(z * alone))
    student = t.isf(norm.sf(critical), seeds - 1)[:, None] ** 2
    return np.asarray(np.sqrt(np.maximum(student * of_seeds + z * of_images, z * alone)))


@dataclass(frozen=True)
class ChosenAccuracy:
    """The accuracy of the file that is chosen for having the highest one.

    ``observed`` is that highest accuracy. ``accuracy`` has the luck of being chosen taken out of the estimate, and an
    interval that holds for the chosen one. ``chosen_in`` (K,) is how often each file would have the highest accuracy on
    another draw of the images (and seeds).
    """

    position: int
    observed: float
    accuracy: Interval
    chosen_in: tuple[float, ...]

    @property
    def optimism(self) -> float:
        """How much too high the observed accuracy is estimated to be."""
        return self.observed - self.accuracy.estimate


def accuracy_of_chosen(correct: Values, *, confidence: float = 0.95, seed: int = 0) -> ChosenAccuracy:
    """The accuracy of the best of K files, ``correct`` being (K, N), or (K, seeds, N) with two seeds or more.

    The estimate is shrunk towards the mean of the files that cannot be told from the best, by the share of their spread
    that chance explains (B. Efron and C. Morris, "Data analysis using Stein's estimator", JASA 70 (1975)). The lower
    bound holds for all K files at once and so for the chosen one, whichever it is. The upper bound is the ordinary one:
    where it lies below the truth, so does that of the truly best file, whose accuracy was no higher. Bounds are
    Wilson's for one seed, those over seeds and images for several. Raises as :func:`compare_with_best` does.
    """
    table = _with_seeds(correct)
    accuracies = table.mean(axis=(1, 2))
    position = int(np.argmax(accuracies))
    _, _, _, covariance = _pair_variances(table)
    rng = np.random.default_rng(seed)
    errors = _joint_errors(covariance, rng)
    low, high, deviation = _bounds_of_chosen(table[position], _simultaneous(errors, covariance, confidence), confidence)
    alike = list(compare_with_best(correct, confidence=confidence, seed=seed).candidates)
    estimate = _shrunk(accuracies[alike], covariance[np.ix_(alike, alike)])
    chosen = np.bincount((accuracies + errors).argmax(axis=1), minlength=len(table)) / len(errors)
    return ChosenAccuracy(
        position=position,
        observed=float(accuracies[position]),
        accuracy=Interval(min(high, max(low, estimate)), low, high, deviation, table.shape[2]),
        chosen_in=tuple(float(share) for share in chosen),
    )


def _shrunk(accuracies: Values, covariance: Values) -> float:
    """The highest of ``accuracies``, the others being as good as far as is known."""
    middle = float(accuracies.mean())
    spread = float(np.sum((accuracies - middle) ** 2))
    by_chance = float(np.trace(covariance) - covariance.sum() / len(covariance))
    kept = max(0.0, 1 - by_chance / spread) if spread > 0 else 0.0
    return middle + kept * (float(accuracies.max()) - middle)


def _simultaneous(errors: Values, covariance: Values, confidence: float) -> float:
    """The normal quantile for lower bounds of all files at once, as good as one bound of a two-sided interval."""
    deviations = np.sqrt(np.diag(covariance))
    varying = deviations > 1e-9
    lowest = NormalDist().inv_cdf(0.5 + confidence / 2)
    if not varying.any():
        return lowest
    largest = (errors[:, varying] / deviations[varying]).max(axis=1)
    return max(lowest, float(np.quantile(largest, 0.5 + confidence / 2)))


def _bounds_of_chosen(answers: Values, critical: float, confidence: float) -> tuple[float, float, float]:
    """Lower and upper bound of the accuracy of one file from ``answers`` (seeds, N), and its standard error."""
    simultaneous = 2 * NormalDist().cdf(critical) - 1
    method = method_mean(answers)
    if method is not None:
        return method.interval(simultaneous).low, method.interval(confidence).high, method.standard_error
    n, right = answers.shape[1], round(float(answers.sum()))
    low, high = wilson_interval(right, n, simultaneous)[0], wilson_interval(right, n, confidence)[1]
    return low, high, math.sqrt(right / n * (1 - right / n) / n)
