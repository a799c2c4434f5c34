"""Drift check: whether what a device sees is distributed like the test split, with a stated rate of false alarms.

A window of pictures is compared with the test split. Each input feature and the confidence get a two-sample
Kolmogorov-Smirnov test; the predicted classes get a chi-square test of homogeneity whose p-value comes from random
tables with the same margins. Holm's method corrects for the number of tests, so that at most one window in
``1 / FALSE_ALARMS`` raises an alarm while pictures are independent draws from the same distribution as the test split.

Pictures that follow each other resemble each other, which the tests would take for evidence. Therefore a window is
thinned: of a series with lag-1 autocorrelation r, every k-th picture is used, with k = (1 + r) / (1 - r), the factor
by which such a series has fewer independent observations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .picture_statistics import Reference

FALSE_ALARMS = 0.001
"""Of all windows that are distributed like the test split."""

FEWEST = 20
"""Independent pictures in a window, below which nothing is concluded."""

PREDICTED = "predicted classes"

RANDOM_TABLES = 20_000
"""Their smallest p-value, 0.00005, is below ``FALSE_ALARMS`` divided by the number of tests."""

DRIFT, NO_DRIFT, UNDECIDED = "drift", "no drift seen", "undecided"


class Finding(NamedTuple):
    """One test. ``p``: after Holm's correction. ``distance``: 0 (equal) to 1, of the cumulative distributions; for
    the predicted classes, half the sum of the absolute differences of their shares (total variation distance).

    ``detail``: what differs, such as the two medians.
    """

    name: str
    p: float
    distance: float
    detail: str

    @property
    def drifted(self) -> bool:
        return self.p <= FALSE_ALARMS


class Verdict(NamedTuple):
    """``status``: :data:`DRIFT`, :data:`NO_DRIFT` or :data:`UNDECIDED`. ``n_used``: pictures left after thinning."""

    status: str
    n_pictures: int
    n_used: int
    findings: tuple[Finding, ...]

    def sentence(self) -> str:
        """The verdict in one line of text."""
        if self.status == UNDECIDED:
            return (
                f"undecided: the {self.n_pictures} pictures resemble each other too much "
                f"(about {self.n_used} independent ones, {FEWEST} are needed)"
            )
        compared = f"{self.n_used} pictures compared with the test split"
        if self.status == NO_DRIFT:
            return f"no drift seen ({compared})"
        return f"drift in {', '.join(f'{one.name} ({one.detail})' for one in self.findings if one.drifted)}; {compared}"


class Window:
    """Collects pictures until there are ``size``, then judges them."""

    def __init__(
        self, reference: Reference, size: int, names: Sequence[str] | None = None, seed: int | None = None
    ) -> None:
        self.reference = reference
        self.size = size
        self._names = names
        self._random = np.random.default_rng(seed)
        self._values: list[Mapping[str, float]] = []
        self._predicted: list[int] = []

    def __len__(self) -> int:
        return len(self._values)

    def add(self, features: Mapping[str, float], predicted: int) -> Verdict | None:
        """Add a picture's features, including ``confidence``, and its top class. Returns a verdict when full."""
        self._values.append(features)
        self._predicted.append(predicted)
        if len(self) < self.size:
            return None
        names = [name for name in self.reference.values if name in self._values[0]]
        values = {name: np.array([one[name] for one in self._values]) for name in names}
        verdict = judged(self.reference, values, np.array(self._predicted), self._random, self._names)
        self._values, self._predicted = [], []
        return verdict


def judged(
    reference: Reference,
    values: Mapping[str, np.ndarray],
    predicted: np.ndarray,
    random: np.random.Generator,
    names: Sequence[str] | None = None,
) -> Verdict:
    """Compare a window with the test split.

    ``values``: for each feature, float (N,) in the order of the pictures. ``predicted``: int (N,), the top classes,
    whose names are ``names``.
    """
    n_pictures = len(predicted)
    step = thinning([*values.values()], predicted)
    n_used = len(predicted[::step])
    if n_used < FEWEST:
        return Verdict(UNDECIDED, n_pictures, n_used, ())
    found = []
    for name, series in values.items():
        expected, seen = reference.values[name], series[::step]
        distance, p = kolmogorov_smirnov(expected, seen)
        detail = f"median {np.median(seen):.3g}, test split {np.median(expected):.3g}"
        found.append(Finding(name, p, distance, detail))
    counts = np.bincount(predicted[::step], minlength=len(reference.predicted))
    distance, p = homogeneity(reference.predicted, counts, random)
    found.append(Finding(PREDICTED, p, distance, _most_changed(reference.predicted, counts, names)))
    corrected = holm([one.p for one in found])
    findings = tuple(one._replace(p=p) for one, p in zip(found, corrected))
    drifted = any(one.drifted for one in findings)
    return Verdict(DRIFT if drifted else NO_DRIFT, n_pictures, n_used, findings)


def _most_changed(expected: np.ndarray, seen: np.ndarray, names: Sequence[str] | None) -> str:
    shares = expected / expected.sum(), seen / seen.sum()
    number = int(np.abs(shares[1] - shares[0]).argmax())
    name = names[number] if names else f"class {number}"
    return f"{name} {shares[1][number]:.0%}, test split {shares[0][number]:.0%}"


def thinning(series: list[np.ndarray], predicted: np.ndarray) -> int:
    """Every how many pictures are about independent of each other."""
    highest = max([0.0, *(_autocorrelation(one) for one in series), _class_autocorrelation(predicted)])
    if highest >= 1:
        return len(predicted)
    return min(len(predicted), max(1, round((1 + highest) / (1 - highest))))


def _autocorrelation(series: np.ndarray) -> float:
    deviations = series - series.mean()
    total = float(deviations @ deviations)
    return float(deviations[:-1] @ deviations[1:]) / total if total > 1e-9 else 0.0


def _class_autocorrelation(predicted: np.ndarray) -> float:
    """How much more often two neighbours have the same class than two pictures at random (0: no more, 1: always)."""
    shares = np.bincount(predicted) / len(predicted)
    by_chance = float((shares**2).sum())
    same = float((predicted[1:] == predicted[:-1]).mean())
    return (same - by_chance) / (1 - by_chance) if by_chance < 1 else 0.0


def kolmogorov_smirnov(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """The largest distance of two empirical distribution functions, and its asymptotic p-value.

    With the correction for finite samples of Stephens (1970). Ties make the p-value too large, never too small.
    """
    first, second = np.sort(first), np.sort(second)
    everywhere = np.concatenate([first, second])
    shares = [np.searchsorted(one, everywhere, side="right") / len(one) for one in (first, second)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    root = math.sqrt(len(first) * len(second) / (len(first) + len(second)))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:
        return distance, 1.0
    p = 2 * sum((-1) ** (j - 1) * math.exp(-2 * (j * scaled) ** 2) for j in range(1, 101))
    return distance, min(1.0, max(0.0, p))


def homogeneity(first: np.ndarray, second: np.ndarray, random: np.random.Generator) -> tuple[float, float]:
    """Compare two counts (classes,): total variation distance, and the p-value of the chi-square statistic.

    The p-value is the share of random tables with the same margins whose statistic is at least as large, which is
    right for rare classes, too.
    """
    totals = first + second
    n_first, n_second = int(first.sum()), int(second.sum())
    kept = totals > 0
    expected = totals[kept] * (n_second / (n_first + n_second))

    def statistic(counts: np.ndarray) -> np.ndarray:
        return np.asarray(((counts - expected) ** 2 / totals[kept]).sum(axis=-1))

    tables = random.multivariate_hypergeometric(totals[kept], n_second, size=RANDOM_TABLES, method="marginals")
    as_large = int((statistic(tables) >= statistic(second[kept]) - 1e-9).sum())
    distance = float(np.abs(first / n_first - second / n_second).sum() / 2)
    return distance, (1 + as_large) / (1 + RANDOM_TABLES)


def holm(values: list[float]) -> list[float]:
    """p-values corrected for their number (Holm, 1979), in the order given."""
    order = sorted(range(len(values)), key=lambda number: values[number])
    corrected, largest = [0.0] * len(values), 0.0
    for rank, number in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[number]))
        corrected[number] = largest
    return corrected
