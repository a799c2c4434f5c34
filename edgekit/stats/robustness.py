"""Robustness to corrupted images: mean corruption error, and the verdict "as robust as"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.stats.claims import Region, Verdict
from edgekit.stats.classification import expected_calibration_error
from edgekit.stats.intervals import Interval, paired_mean_interval, wilson_interval

MARGIN = 0.01
"""A model that loses at most this much more accuracy than another under corruption is as robust."""

AS_ROBUST = Region.of("not-above", MARGIN)
"""The one verdict "as robust as", on the extra accuracy lost under corruption."""


@dataclass(frozen=True)
class ConditionScore:
    """Accuracy and calibration of one model under one condition, all 0 to 1."""

    accuracy: float
    accuracy_ci95: tuple[float, float]
    """Wilson's interval."""
    ece: float


def condition_score(labels: NDArray[np.int32], probabilities: NDArray[np.float32]) -> ConditionScore:
    """Score ``probabilities`` (N, classes) against the class numbers ``labels`` (N,)."""
    correct = int((probabilities.argmax(axis=1) == labels).sum())
    return ConditionScore(
        accuracy=correct / len(labels),
        accuracy_ci95=wilson_interval(correct, len(labels)),
        ece=expected_calibration_error(labels, probabilities),
    )


def mean_over_corruptions(values: Sequence[Sequence[float]]) -> float | None:
    """The mean over severities (inner), then over corruptions (outer); None without corruptions.

    Of errors it is the mean corruption error of D. Hendrycks and T. Dietterich, "Benchmarking neural network robustness
    to common corruptions and perturbations", ICLR 2019, without the division by the error of a reference network.
    """
    return float(np.mean([np.mean(severities) for severities in values])) if values else None


@dataclass(frozen=True)
class PairedLoss:
    """How much accuracy a model loses against a reference on the same images, clean and corrupted; 0.01 is one point.

    ``extra`` is the loss under corruption minus the loss on clean images: the mean over conditions of each image, then
    over images. An image counts once, however many corruptions were applied to it.
    """

    n_images: int
    clean: float
    corrupted: float
    extra: Interval

    @property
    def verdict(self) -> Verdict:
        """Whether the model is as robust as the reference: ``supported``, ``refuted`` or ``undecided``."""
        return AS_ROBUST.verdict(self.extra.low, self.extra.high)


def paired_loss(clean: NDArray[np.float64], corrupted: NDArray[np.float64]) -> PairedLoss:
    """The loss from ``clean`` (N,) and ``corrupted`` (conditions, N).

    An entry is 1 where only the reference classifies the image correctly, -1 where only the model does, else 0.
    """
    extra = corrupted.mean(axis=0) - clean
    return PairedLoss(len(clean), float(clean.mean()), float(corrupted.mean()), paired_mean_interval(extra))
