"""How many more images or seeds would decide a claim, if the estimate stays as it is."""

from __future__ import annotations

import math
from statistics import NormalDist


def images_needed(gap: float, deviation: float, n: int, *, confidence: float = 0.95) -> int | None:
    """How many images in all reduce half the interval to ``gap``, if the estimate stays; None if no number does.

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
