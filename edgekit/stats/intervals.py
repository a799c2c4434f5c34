"""Confidence intervals of proportions and of paired differences of proportions."""

from __future__ import annotations

import math
from statistics import NormalDist


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
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    lost, won = (worse + 1) / (n + 2), (better + 1) / (n + 2)
    half = z * math.sqrt((lost + won - (lost - won) ** 2) / (n + 2))
    return max(-1.0, lost - won - half), min(1.0, lost - won + half)
