"""Ranking many models over data sets, seeds or folds: Friedman's test and the Nemenyi critical difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ranking:
    """Models by average rank (1 is best) over blocks, the best first.

    ``order`` are positions of the K models, ``ranks`` their average ranks in the order they were given. Models whose
    ranks differ by less than ``critical_difference`` cannot be distinguished; ``cliques`` are the largest sets of such.
    ``p`` is Friedman's: small where the models differ at all.
    """

    order: list[int]
    ranks: list[float]
    critical_difference: float
    cliques: list[list[int]]
    p: float
    n_blocks: int


def rank_models(scores: NDArray[np.float64], *, alpha: float = 0.05) -> Ranking:
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
    distinct = [[abs(float(ranks[a] - ranks[b])) >= difference for b in range(models)] for a in range(models)]
    return Ranking(
        order=order,
        ranks=[float(rank) for rank in ranks],
        critical_difference=difference,
        cliques=cliques(order, distinct),
        p=float(chi2.sf(statistic, models - 1)),
        n_blocks=blocks,
    )


def cliques(order: Sequence[int], distinct: Sequence[Sequence[bool]]) -> list[list[int]]:
    """The longest stretches of ``order``, of two or more, in which no two are ``distinct``."""
    found: list[list[int]] = []
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not any(distinct[order[end]][other] for other in order[start:end]):
            end += 1
        if end - start > 1 and not (found and set(order[start:end]) <= set(found[-1])):
            found.append(list(order[start:end]))
    return found
