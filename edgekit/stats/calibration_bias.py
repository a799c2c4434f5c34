"""The calibration error of a network, corrected for the bias of small samples, with an interval.

The expected calibration error (ECE) is a sum of absolute values, so that chance alone makes it positive: about 0.07 for
a perfectly calibrated network on 100 images. The size of this bias is found by simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.stats.classification import ECE_BINS, expected_calibration_error

Values = NDArray[np.float64]

RESAMPLES = 500

TAIL_SHARE = 0.7
"""The error rate that is used up: the rest makes up for a shape of miscalibration that is only estimated."""

_STEPS = np.linspace(0.0, 2.5, 26)
"""How far from calibrated the networks are that are simulated, the observed ECE being 1."""


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error, 0 to 1.

    ``observed`` is the usual figure. ``estimate`` is without its bias, with the interval from ``low`` to ``high``; it
    begins at 0 where the network may be perfectly calibrated. ``by_chance`` is what a perfectly calibrated network with
    these confidences shows on average, ``by_chance_95`` what it exceeds in 5% of cases, ``p`` how often it reaches the
    observed figure.
    """

    observed: float
    estimate: float
    low: float
    high: float
    by_chance: float
    by_chance_95: float
    p: float
    n_images: int


def calibration_error(
    labels: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
    *,
    bins: int = ECE_BINS,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> CalibrationError:
    """The ECE of ``probabilities`` (N, classes) for the true classes ``labels`` (N,), in equal-width bins.

    Networks are simulated that are more and more miscalibrated: with the same confidences, each image is predicted
    correctly with its confidence plus a shift. The null simulation, without a shift, is that of J. Vaicenavicius et
    al., "Evaluating model calibration in classification", AISTATS 2019. A. Kumar, P. Liang and T. Ma, "Verified
    uncertainty calibration", NeurIPS 2019, describe the bias of the usual figure. The estimate is the error whose
    simulated median is the observed ECE; the interval holds the errors whose simulated outer quantiles enclose the
    observed ECE. As the shape of miscalibration is not known, two are simulated, the observed gap of each bin and the
    same gap everywhere; the wider bounds are given, with :data:`TAIL_SHARE` of the error rate. Raises
    :class:`ValueError` for no images.
    """
    if not len(labels):
        raise ValueError("a calibration error needs images")
    shown = probabilities.max(axis=1).astype(np.float64)
    correct = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    observed = expected_calibration_error(labels, probabilities, bins)
    simulation = _Simulation(shown, bins, resamples, seed)
    found = [simulation.inverted(observed, shape, confidence) for shape in simulation.shapes(correct)]
    null = simulation.errors(shown)
    return CalibrationError(
        observed=observed,
        estimate=found[0][0],
        low=min(low for _, low, _ in found),
        high=max(high for _, _, high in found),
        by_chance=float(null.mean()),
        by_chance_95=float(np.quantile(null, 0.95)),
        p=float((1 + np.sum(null >= observed - 1e-12)) / (1 + len(null))),
        n_images=len(labels),
    )


def error_by_chance(
    probabilities: NDArray[np.floating[Any]], *, bins: int = ECE_BINS, resamples: int = 200, seed: int = 0
) -> float:
    """The mean ECE that a perfectly calibrated network with these ``probabilities`` (N, classes) shows by chance."""
    shown = probabilities.max(axis=1).astype(np.float64)
    return float(_Simulation(shown, bins, resamples, seed).errors(shown).mean())


@lru_cache(maxsize=2)
def _chance(resamples: int, n_images: int, seed: int) -> Values:
    """Random numbers (resamples, images): the same for every network that saw as many images."""
    found = np.random.default_rng(seed).random((resamples, n_images))
    found.flags.writeable = False
    return found


class _Simulation:
    """Draws of whether images are predicted correctly, from the same random numbers for every shift."""

    def __init__(self, shown: Values, bins: int, resamples: int, seed: int) -> None:
        self.shown, self.bins = shown, bins
        self.bin_of = np.clip(np.ceil(shown * bins).astype(int) - 1, 0, bins - 1)
        self.chance = _chance(resamples, len(shown), seed)
        self._order = np.argsort(self.bin_of, kind="stable")
        self._starts = np.flatnonzero(np.diff(self.bin_of[self._order], prepend=-1))
        self._shown_in_bin = np.add.reduceat(shown[self._order], self._starts)

    def shapes(self, correct: Values) -> list[Values]:
        """Shifts of each image (N,) with a mean size of 1; the observed gaps first, where there are any."""
        counts = np.bincount(self.bin_of, minlength=self.bins)
        gaps = np.bincount(self.bin_of, weights=correct - self.shown, minlength=self.bins) / np.maximum(counts, 1)
        by_bin = gaps[self.bin_of]
        size = float(np.abs(by_bin).mean())
        everywhere = np.full(len(self.shown), 1.0 if correct.mean() >= self.shown.mean() else -1.0)
        return [*([by_bin / size] if size else []), everywhere]

    def errors(self, truth: Values) -> Values:
        """(resamples,): the ECE of each draw, an image being predicted correctly with probability ``truth`` (N,)."""
        right = (self.chance < truth)[:, self._order]
        sums = np.add.reduceat(right, self._starts, axis=1, dtype=np.int64) - self._shown_in_bin
        return np.asarray(np.abs(sums).sum(axis=1) / len(truth))

    def true_error(self, truth: Values) -> float:
        sums = np.bincount(self.bin_of, weights=truth - self.shown, minlength=self.bins)
        return float(np.abs(sums).sum() / len(truth))

    def inverted(self, observed: float, shape: Values, confidence: float) -> tuple[float, float, float]:
        """Estimate, lower and upper bound of the true error along one shape of miscalibration."""
        tail = TAIL_SHARE * (1 - confidence) / 2
        true, quantiles = [], []
        for step in _STEPS:
            truth = np.clip(self.shown + step * observed * shape, 0.0, 1.0)
            true.append(self.true_error(truth))
            quantiles.append(np.quantile(self.errors(truth), [tail, 0.5, 1 - tail]))
        # Clipping to probabilities can stop the growth; both must rise for the inversion.
        rising = np.maximum.accumulate(np.array(quantiles), axis=0)
        sizes = np.maximum.accumulate(np.array(true))

        def size_at(column: int) -> float:
            if observed <= rising[0, column]:
                return 0.0
            if observed > rising[-1, column]:
                return 1.0 if column == 0 else float(sizes[-1])
            return float(np.interp(observed, rising[:, column], sizes))

        return size_at(1), size_at(2), size_at(0)
