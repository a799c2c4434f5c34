"""Whether an increase is shown to be within a limit, shown to be beyond it, or neither, also after several looks."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.stats.noninferiority import ALPHA, FAILED, HELD, UNDECIDED, Verdict

FEWEST_REPEATS = 3
"""With fewer single measurements of either side, ranges that do not overlap show nothing at 5%."""


def look_confidence(look: int, alpha: float = ALPHA) -> float:
    """Two-sided confidence of the ``look``-th look (from 1) at data that grows until a verdict is reached.

    Each bound has the error rate ``alpha / 2**look``, so that all looks together, however many there are, err with a
    probability of at most ``alpha`` on either side (Bonferroni; K. K. G. Lan and D. L. DeMets, "Discrete sequential
    boundaries for clinical trials", Biometrika 70 (1983), call such a schedule a spending function). The first look
    has the usual 95%. Raises :class:`ValueError` for a look before the first.
    """
    if look < 1:
        raise ValueError(f"there is no look {look}")
    return 1 - 2 * alpha * 0.5**look


def judge_ratio(low: float, high: float, floor: float, limit: float) -> Verdict:
    """Judge a ratio new / baseline with the interval ``low`` to ``high`` against the largest allowed one.

    ``floor`` (at least 1) is the ratio up to which a file and itself are measured apart in these sessions: a ratio
    within it is no slowdown, and sessions with a floor above the limit cannot show that the limit is kept, unless the
    new file is faster by more than the floor.
    """
    if low > max(limit, floor):
        return FAILED
    if high <= limit and (floor <= limit or high < 1 / floor):
        return HELD
    return UNDECIDED


def judge_repeats(new: Sequence[float], baseline: Sequence[float], limit: float, resolution: float = 0.0) -> Verdict:
    """Judge repeated single measurements by their ranges: all of the new ones are beyond the limit, or none is.

    The limit is ``limit`` times the baseline (1.1: 10% more), and at least ``resolution`` above it. Three measurements
    of either side lie apart by chance in one of 20 cases (the permutations of six values), so that with three or more
    the error rate of ``failed`` is at most 5%; with fewer, a figure beyond the limit is *undecided*. Raises
    :class:`ValueError` without measurements.
    """
    if not new or not baseline:
        raise ValueError("there is nothing to compare")

    def allowed(value: float) -> float:
        return max(limit * value, value + resolution)

    if max(new) <= allowed(min(baseline)):
        return HELD
    beyond = min(new) > allowed(max(baseline))
    return FAILED if beyond and min(len(new), len(baseline)) >= FEWEST_REPEATS else UNDECIDED
