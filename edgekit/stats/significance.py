"""Significance tests: whether two models differ on the same images, and the correction for many tests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.stats.intervals import variance_over_seeds_and_images


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided p of the exact McNemar test: ``only_a`` images that only A got right, ``only_b`` that only B did.

    Q. McNemar, Psychometrika 12 (1947), in its exact (binomial) form. 1.0 where the two never differ.
    """
    from scipy.stats import binomtest

    discordant = only_a + only_b
    return float(binomtest(only_a, discordant, 0.5).pvalue) if discordant else 1.0


def mcnemar_of_differences(differences: NDArray[np.float64]) -> float:
    """:func:`mcnemar_exact` of ``differences`` (N,), one per image: positive where only A got it right."""
    return mcnemar_exact(int((differences > 0).sum()), int((differences < 0).sum()))


def p_over_seeds_and_images(differences: NDArray[np.float64]) -> float:
    """Two-sided p of no difference, for any seed and any such image, from ``differences`` (seeds, images).

    The test that belongs to :func:`edgekit.stats.intervals.over_seeds_and_images`. Where nothing varies it is the
    exact McNemar test of the images.
    """
    from scipy.stats import t

    mean, variance, freedom = variance_over_seeds_and_images(differences)
    if variance == 0:
        return mcnemar_of_differences(differences.mean(axis=0))
    return float(2 * t.sf(abs(mean) / math.sqrt(variance), freedom))


def holm(p_values: Sequence[float], untested: int = 0) -> list[float]:
    """p-values adjusted for their number, in the same order.

    ``untested`` further hypotheses belong to the family without having been tested; they count as if p were 1.

    Rejecting those at or below alpha keeps the chance of any false rejection at alpha, whatever depends on what.
    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
    """
    adjusted = [1.0] * len(p_values)
    reached = 0.0
    for place, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        reached = max(reached, min(1.0, (len(p_values) + untested - place) * p_values[i]))
        adjusted[i] = reached
    return adjusted
