"""Exported files in the order of their accuracy, and which of them the test images do not separate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.report_comparisons import RankedRecord, RankingRecord
from edgekit.render.text import plural
from edgekit.report.model.comparisons import ALPHA, Comparisons
from edgekit.report.model.groups import Group
from edgekit.stats.intervals import Interval
from edgekit.stats.letter_display import compact_letters
from edgekit.stats.ranking import rank_models
from edgekit.stats.seeds_and_images import difference_interval
from edgekit.stats.significance import holm

MOST_RANKED = 40


@dataclass(frozen=True)
class RankedRow:
    """One group: groups that share a letter are not separated. ``rank`` is its mean over seeds.

    ``behind`` is how far below the first it is (0 to 1), paired by image; over seeds as well, where the two share
    several. None for the first itself.
    """

    group: Group
    letters: str
    rank: float | None
    behind: Interval | None


@dataclass(frozen=True)
class AccuracyRanking:
    """The most accurate first. ``critical_difference`` of mean ranks (Nemenyi), with several seeds."""

    rows: list[RankedRow]
    n_pairs: int
    critical_difference: float | None
    friedman_p: float | None
    n_seeds: int
    n_left_out: int
    """Less accurate groups that are not ranked: letters of hundreds of groups would say nothing."""
    tests: tuple[str, ...]
    """The tests that were used: which one depends on how many seeds the two groups of a pair share."""

    def document(self) -> RankingRecord:
        return RankingRecord(
            rows=tuple(_record(row) for row in self.rows),
            pairs_tested=self.n_pairs,
            critical_difference=self.critical_difference,
            friedman_p=self.friedman_p,
            seeds=self.n_seeds,
        )


def _record(row: RankedRow) -> RankedRecord:
    behind = row.behind
    return RankedRecord(
        number=row.group.number,
        title=row.group.title,
        letters=row.letters,
        mean_rank=row.rank,
        points_behind=None if behind is None else 100 * behind.estimate,
        points_behind_ci95=None if behind is None else (100 * behind.low, 100 * behind.high),
    )


def accuracy_ranking(groups: Sequence[Group], comparisons: Comparisons) -> AccuracyRanking | None:
    """The groups of one target that were scored on the same images; None for fewer than three.

    Of more than :data:`MOST_RANKED`, the most accurate ones are ranked.

    Every pair is tested (exact McNemar, or over seeds and images), corrected for the number of pairs (Holm). With
    several seeds also Friedman's test and mean ranks, the seeds being the blocks.
    """
    scored = sorted((g for g in groups if g.accuracy is not None), key=lambda g: -(g.accuracy or 0.0))
    if len(scored) < 3:
        return None
    left_out, scored = scored[MOST_RANKED:], scored[:MOST_RANKED]
    pairs = list(combinations(range(len(scored)), 2))
    tested = [comparisons.p_value(scored[a], scored[b]) for a, b in pairs]
    if any(p is None for p in tested):
        return None
    apart = [[False] * len(scored) for _ in scored]
    # Corrected for all pairs, as if those of the groups that are left out had been tested with p = 1.
    untested = math.comb(len(scored) + len(left_out), 2) - len(pairs)
    for (a, b), adjusted in zip(pairs, holm([p for p in tested if p is not None], untested)):
        apart[a][b] = apart[b][a] = adjusted < ALPHA
    letters = compact_letters(apart)
    blocks = _by_seed(scored)
    ranking = rank_models(blocks) if blocks.shape[1] > 1 else None
    ranks = [None] * len(scored) if ranking is None else ranking.ranks
    rows = [
        RankedRow(group, letters[i], ranks[i], _behind(scored[0], group, comparisons)) for i, group in enumerate(scored)
    ]
    return AccuracyRanking(
        rows=rows,
        n_pairs=len(pairs) + untested,
        n_left_out=len(left_out),
        critical_difference=None if ranking is None else ranking.critical_difference,
        friedman_p=None if ranking is None else ranking.p,
        n_seeds=blocks.shape[1],
        tests=_tests([len(d) for a, b in pairs if (d := comparisons.differences(scored[a], scored[b])) is not None]),
    )


def _tests(shared_seeds: Sequence[int]) -> tuple[str, ...]:
    """The tests of all pairs, from how many seeds each pair shares, with their numbers where there are both."""
    one = sum(seeds == 1 for seeds in shared_seeds)
    several = len(shared_seeds) - one
    counts = {"exact McNemar test": one, "test over seeds and images": several}
    return tuple(f"{test}, {plural(n, 'pair')}" if one and several else test for test, n in counts.items() if n)


def _behind(best: Group, group: Group, comparisons: Comparisons) -> Interval | None:
    differences = None if group is best else comparisons.differences(best, group)
    if differences is None:
        return None
    return difference_interval(differences)


def _by_seed(groups: Sequence[Group]) -> NDArray[np.float64]:
    """Accuracy (groups, seeds) of the seeds that all have."""
    by_seed = [{m.seed: m.score.accuracy for m in group.members if m.score is not None} for group in groups]
    common = [seed for seed in by_seed[0] if all(seed in scores for scores in by_seed)]
    return np.array([[scores[seed] for seed in common] for scores in by_seed], dtype=np.float64)
