"""Intervals over seeds and images: for the difference of two methods, or the mean of one.

Figures come as arrays (seeds, images), one row per trained network. Two sources of chance add up: networks that other
seeds would have given, and images that another draw of the test split would have given (Bouthillier et al.,
"Accounting for variance in machine learning benchmarks", MLSys 2021, ask for both). The model is that of two crossed
random effects: ``x[s, i] = mean + seed[s] + image[i] + own[s, i]``.

The interval adds the squared half widths of the parts (G. Y. Zou and A. Donner's MOVER, "Construction of confidence
limits about effect measures", Statistics in Medicine 27 (2008)): Student's t for the seeds, normal for the images.
With images that all agree it is exactly Student's interval over seeds. Satterthwaite's degrees of freedom, the usual
alternative, cover only 87% with two seeds and 92% with three where the seeds differ most (``tests/stats``), because
two seeds that agree by chance make the interval short.

One seed says nothing about a method: the functions for methods give None, and :func:`two_networks` and
:func:`one_network` say what is known of the trained networks themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgekit.stats.intervals import Interval, paired_mean_interval, wilson_interval

Values = NDArray[np.float64]

Kind = Literal["difference", "proportion", "unbounded"]
"""What the figures are: differences of correct and wrong (-1 to 1), correct or wrong (0 to 1), or anything (loss)."""

_ADDED_IMAGES: dict[Kind, tuple[float, ...]] = {
    "difference": (1.0, -1.0),
    "proportion": (1.0, 1.0, 0.0, 0.0),
    "unbounded": (),
}
"""Images added before the variance over images is taken, so that images without a difference do not prove that there
is none: Bonett and Price (2012) for differences, A. Agresti and B. A. Coull (1998) for proportions."""

_RANGE: dict[Kind, tuple[float, float]] = {
    "difference": (-1.0, 1.0),
    "proportion": (0.0, 1.0),
    "unbounded": (-math.inf, math.inf),
}

SMALLEST_P = 1e-12
"""No p-value is smaller: a variance that is estimated does not carry more."""


@dataclass(frozen=True)
class SeedPart:
    """The share of one method's seeds in the variance of the mean, estimated with ``freedom`` degrees of freedom."""

    variance: float
    freedom: int


@dataclass(frozen=True)
class Components:
    """Variances of one seed, of one image, and of one image with one seed, on the squared scale of the figures."""

    seed: float
    image: float
    own: float

    def __add__(self, other: Components) -> Components:
        return Components(self.seed + other.seed, self.image + other.image, self.own + other.own)


@dataclass(frozen=True)
class SeedsAndImages:
    """A mean over seeds and images with what its uncertainty consists of.

    ``centre`` is the mean with the added images, about which the interval lies; ``of_images`` the images' share in
    its variance without the part that is the seeds' as well, ``of_images_alone`` with it.
    """

    estimate: float
    centre: float
    seed_parts: tuple[SeedPart, ...]
    of_images: float
    of_images_alone: float
    n_seeds: tuple[int, ...]
    n_images: int
    kind: Kind
    components: Components

    @property
    def standard_error(self) -> float:
        return math.sqrt(sum(part.variance for part in self.seed_parts) + self.of_images)

    def half_width(self, confidence: float = 0.95) -> float:
        """Half the width of the interval before it is cut to the possible range."""
        from scipy.special import stdtrit  # what scipy.stats.t.ppf calls, in a thirtieth of the time

        z = NormalDist().inv_cdf(0.5 + confidence / 2)
        of_seeds = sum(float(stdtrit(p.freedom, 0.5 + confidence / 2)) ** 2 * p.variance for p in self.seed_parts)
        return max(math.sqrt(of_seeds + z**2 * self.of_images), z * math.sqrt(self.of_images_alone))

    def interval(self, confidence: float = 0.95) -> Interval:
        """The two-sided interval; a one-sided 95% bound is an end of the 90% interval."""
        half = self.half_width(confidence)
        lowest, highest = _RANGE[self.kind]
        low, high = max(lowest, self.centre - half), min(highest, self.centre + half)
        return Interval(self.estimate, low, high, self.standard_error, min(self.n_seeds))

    def p_value(self, hypothesis: float = 0.0) -> float:
        """Two-sided p of a true mean of ``hypothesis``: 1 - confidence of the interval that just reaches it."""
        distance = abs(self.centre - hypothesis)
        low, high = SMALLEST_P, 1.0
        for _ in range(60):
            middle = math.sqrt(low * high)
            low, high = (low, middle) if self.half_width(1 - middle) < distance else (middle, high)
        return high


def paired_methods(differences: Values, kind: Kind = "difference") -> SeedsAndImages | None:
    """The difference of two methods whose networks pair by seed, from ``differences`` (seeds, images).

    Pair networks only where the seed makes them alike: the same split of the data, or an exported file and its own
    Keras model. Otherwise use :func:`independent_methods`. None for one seed, and where unbounded figures do not vary
    at all. Raises :class:`ValueError` for an array that is not (seeds, images) with at least two images.
    """
    return _crossed([differences], differences.mean(axis=0), kind)


def independent_methods(first: Values, second: Values, kind: Kind = "difference") -> SeedsAndImages | None:
    """``first`` (seeds, images) less ``second`` (other seeds, the same images), the seeds having nothing in common.

    ``kind`` is that of the difference. None where either has one seed; raises as :func:`paired_methods` does.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"the images do not pair: {first.shape} and {second.shape}")
    return _crossed([first, -second], first.mean(axis=0) - second.mean(axis=0), kind)


def method_mean(values: Values, kind: Kind = "proportion") -> SeedsAndImages | None:
    """The mean of one method, its accuracy for instance, from ``values`` (seeds, images); None for one seed."""
    return _crossed([values], values.mean(axis=0), kind)


def _crossed(tables: Sequence[Values], by_image: Values, kind: Kind) -> SeedsAndImages | None:
    for table in tables:
        if table.ndim != 2 or table.shape[1] < 2:
            raise ValueError(f"expected (seeds, images) with at least two images. Received: {table.shape}")
    if min(len(table) for table in tables) < 2:
        return None
    parts, components, shared = [], Components(0.0, 0.0, 0.0), 0.0
    for table in tables:
        seeds, images = table.shape
        of_seeds = float(np.var(table.mean(axis=1), ddof=1))
        rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
        own = float(np.sum(rest**2)) / ((seeds - 1) * (images - 1))
        parts.append(SeedPart(of_seeds / seeds, seeds - 1))
        components += Components(max(0.0, of_seeds - own / images), 0.0, own)
        shared += own / (seeds * images)
    enlarged = np.append(by_image, _ADDED_IMAGES[kind])
    n = len(by_image)
    alone = float(np.var(enlarged)) / len(enlarged)
    of_images = max(0.0, alone - shared)
    if alone == 0 and all(part.variance == 0 for part in parts):
        return None
    return SeedsAndImages(
        estimate=float(by_image.mean()),
        centre=float(enlarged.mean()),
        seed_parts=tuple(parts),
        of_images=of_images,
        of_images_alone=alone,
        n_seeds=tuple(len(table) for table in tables),
        n_images=n,
        kind=kind,
        components=components + Components(0.0, of_images * n, 0.0),
    )


def two_networks(differences: Values, confidence: float = 0.95) -> Interval:
    """The difference of *these two trained networks* for any such image, from ``differences`` (N,), one per image.

    Another seed may give another difference, which this interval does not cover. Raises :class:`ValueError` for no
    images.
    """
    return paired_mean_interval(differences, confidence=confidence)


def one_network(correct: Values, confidence: float = 0.95) -> Interval:
    """The accuracy of *this trained network* for any such image, from ``correct`` (N,) of 0 and 1 (Wilson)."""
    n, right = len(correct), int(correct.sum())
    low, high = wilson_interval(right, n, confidence)
    return Interval(right / n, low, high, math.sqrt(right / n * (1 - right / n) / n), n)


def difference_interval(differences: Values, confidence: float = 0.95) -> Interval:
    """The difference of two sides from ``differences`` (seeds, images): of methods, or of two networks for one seed."""
    methods = paired_methods(differences) if min(differences.shape) > 1 else None
    return two_networks(differences.mean(axis=0), confidence) if methods is None else methods.interval(confidence)


def difference_p(differences: Values) -> float:
    """Two-sided p of no difference: the test of :func:`paired_methods`, or the exact McNemar test for one seed."""
    from edgekit.stats.significance import mcnemar_of_differences

    methods = paired_methods(differences) if min(differences.shape) > 1 else None
    return mcnemar_of_differences(differences.mean(axis=0)) if methods is None else methods.p_value()
