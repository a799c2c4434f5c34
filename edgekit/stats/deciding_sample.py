"""How many seeds and images would decide a claim, and under which assumptions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist

from edgekit.stats.bisection import smallest
from edgekit.stats.seeds_and_images import Components

MOST_SEEDS = 1_000
MOST_IMAGES = 10_000_000
"""Numbers above these are no advice: None is given instead."""

SEEDS_WITH_IMAGES = 50
"""Up to how many seeds are tried when both may grow."""


@dataclass(frozen=True)
class Sample:
    """A number of seeds and a number of test images, in total."""

    seeds: int
    images: int


@dataclass(frozen=True)
class DecidingSample:
    """The samples that would decide, as totals and not in addition; None if no number would.

    ``by_seeds``: with the present images. ``by_images``: with the present seeds. ``by_both``: the pair with the
    fewest predictions (seeds x images) among those with at least as many seeds and images as today. It holds if the
    true difference is the observed one, if the variances are those of ``components``, and with probability ``power``.
    """

    gap: float
    power: float
    confidence: float
    components: Components
    by_seeds: Sample | None
    by_images: Sample | None
    by_both: Sample | None


def deciding_sample(
    components: Components,
    gap: float,
    n_seeds: int,
    n_images: int,
    *,
    power: float = 0.80,
    confidence: float = 0.95,
) -> DecidingSample | None:
    """Seeds and images that put the whole interval on the side of the estimate, at distance ``gap`` from the margin.

    ``components`` are those of :class:`~edgekit.stats.seeds_and_images.SeedsAndImages`, or, where there is one seed,
    an assumption about seeds that the caller states. The half width planned for is that of ``SeedsAndImages``; the
    estimate may come out too near by the quantile of ``power`` (Student's for the seeds, as in planning a t test).
    A method needs at least two seeds. None where the estimate lies on the margin: no number would decide. Raises
    :class:`ValueError` for negative components or counts below one.
    """
    if min(components.seed, components.image, components.own) < 0 or min(n_seeds, n_images) < 1:
        raise ValueError(f"no variances or counts: {components}, {n_seeds} seeds, {n_images} images")
    gap = abs(gap)
    if gap < 1e-12:
        return None

    def decides(seeds: int, images: int) -> bool:
        return planned_width(components, seeds, images, power=power, confidence=confidence) <= gap

    first = max(2, n_seeds)
    seeds = smallest(lambda s: decides(s, n_images), first, MOST_SEEDS)
    images = smallest(lambda n: decides(n_seeds, n), n_images, MOST_IMAGES) if n_seeds >= 2 else None
    pairs = [
        Sample(s, n)
        for s in range(first, max(first, SEEDS_WITH_IMAGES) + 1)
        if (n := smallest(partial(decides, s), n_images, MOST_IMAGES)) is not None
    ]
    return DecidingSample(
        gap=gap,
        power=power,
        confidence=confidence,
        components=components,
        by_seeds=None if seeds is None else Sample(seeds, n_images),
        by_images=None if images is None else Sample(n_seeds, images),
        by_both=min(pairs, key=lambda pair: pair.seeds * pair.images, default=None),
    )


def planned_width(
    components: Components, seeds: int, images: int, *, power: float = 0.80, confidence: float = 0.95
) -> float:
    """The distance from the margin at which ``seeds`` and ``images`` decide with probability ``power``."""
    from scipy.stats import t

    of_seeds = components.seed / seeds + components.own / (seeds * images)
    of_images = components.image / images
    normal = NormalDist()
    quantiles = [(float(t.ppf(tail, seeds - 1)), normal.inv_cdf(tail)) for tail in (0.5 + confidence / 2, power)]
    return sum(math.sqrt(student**2 * of_seeds + z**2 * of_images) for student, z in quantiles)


def deciding_number(
    deviation: float, gap: float, n: int, *, power: float = 0.80, confidence: float = 0.95
) -> int | None:
    """How many in all decide where there is one source of chance, ``deviation`` being the standard error with ``n``.

    The half width and the quantile of ``power`` must both fit into ``gap``. None where no number would decide.
    """
    if gap < 1e-12:
        return None
    normal = NormalDist()
    factor = normal.inv_cdf(0.5 + confidence / 2) + normal.inv_cdf(power)
    needed = n * (factor * deviation / gap) ** 2
    return None if needed > MOST_IMAGES else max(n, math.ceil(needed))
