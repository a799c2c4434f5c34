"""Which scaling of the pixels, and which order of the labels, a model fits: found out on labelled images.

Each scaling is tried on the same images. An order of the labels other than the given one is judged on other images than
those it was found on, so that a search among all orders proves nothing by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.device.scaling import Scaling
from edgekit.stats.significance import mcnemar_exact

SURE = 0.001
"""p of the exact McNemar test up to which a difference is pointed out."""

MUCH = 0.1
"""Difference in accuracy below which another order of the labels is not pointed out."""

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Trial:
    """The predictions of one scaling for N labelled images.

    ``predicted`` and ``labels`` are (N,) positions of classes, ``confidence`` (N,) is the highest probability.
    """

    scaling: str
    predicted: Labels
    labels: Labels
    n_classes: int
    confidence: float

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which images (N,) are classified correctly with the labels as given."""
        return np.asarray(self.predicted == self.labels)

    @property
    def accuracy(self) -> float:
        """Fraction of correct images with the labels as given."""
        return float(self.correct.mean())

    @property
    def reordered(self) -> NDArray[np.bool_]:
        """Which images (N,) are correct with the best order of the labels, found on the other half of the images."""
        found = np.zeros(len(self.labels), np.bool_)
        halves = self._halves()
        for here, other in (halves, halves[::-1]):
            order = best_order(self.predicted[other], self.labels[other], self.n_classes)
            found[here] = order[self.predicted[here]] == self.labels[here]
        return found

    @property
    def order(self) -> Labels:
        """The class (classes,) of each output that fits these images best."""
        return best_order(self.predicted, self.labels, self.n_classes)

    @property
    def score(self) -> float:
        """Accuracy with the labels as given, or with the best other order, whichever is higher."""
        return max(self.accuracy, float(self.reordered.mean()))

    @property
    def fits_other_order(self) -> bool:
        """Whether another order of the labels is clearly better."""
        given, other = self.correct, self.reordered
        gain = float(other.mean() - given.mean())
        p = mcnemar_exact(int((other & ~given).sum()), int((given & ~other).sum()))
        return gain >= MUCH and p <= SURE

    def _halves(self) -> tuple[Labels, Labels]:
        """Every second image of each class."""
        first = np.zeros(len(self.labels), np.bool_)
        for label in np.unique(self.labels):
            first[np.flatnonzero(self.labels == label)[::2]] = True
        return np.flatnonzero(first), np.flatnonzero(~first)


@dataclass(frozen=True)
class Trials:
    """One trial for each scaling, on the same images."""

    by_scaling: Mapping[str, Trial]

    @property
    def best(self) -> Trial:
        """The trial with the best score; of equal ones, the most confident."""
        return max(self.by_scaling.values(), key=lambda trial: (trial.score, trial.confidence))

    @property
    def n_images(self) -> int:
        return len(self.best.labels)

    @property
    def works(self) -> bool:
        """Whether the best scaling does clearly better than always naming the most frequent class."""
        labels = self.best.labels
        frequent = float(np.bincount(labels).max() / len(labels))
        margin = 3 * np.sqrt(frequent * (1 - frequent) / len(labels))
        return bool(self.best.score > frequent + margin)

    def equally_good(self) -> list[Trial]:
        """Other scalings than the best, which is not clearly better than they are on these images."""
        best, other_order = self.best, self.best.fits_other_order
        trials = [trial for trial in self.by_scaling.values() if trial is not best]
        return [trial for trial in trials if not _better(best, trial, other_order)]

    def better_than(self, scaling: str) -> Trial | None:
        """The best trial, if it is clearly better than that of ``scaling``."""
        given, best = self.by_scaling[scaling], self.best
        return best if best is not given and _better(best, given, best.fits_other_order) else None


def try_scalings(
    scalings: Mapping[str, Scaling],
    predict: Callable[[Scaling], NDArray[np.float32]],
    labels: NDArray[np.int32],
    advance: Callable[[str], None],
) -> Trials:
    """Try each of ``scalings``; ``predict`` gives probabilities (N, classes) of the N images.

    Scalings that give NaN or infinity are left out. ``advance`` is called with the name before each.
    """
    found = {}
    for name, scaling in scalings.items():
        advance(name)
        probabilities = predict(scaling)
        if not np.isfinite(probabilities).all():
            continue
        predicted = probabilities.argmax(axis=1)
        confidence = float(probabilities.max(axis=1).mean())
        found[name] = Trial(name, predicted, labels.astype(np.int64), probabilities.shape[1], confidence)
    return Trials(found)


def best_order(predicted: Labels, labels: Labels, n_classes: int) -> Labels:
    """The assignment of outputs to classes (classes,) that makes most predictions correct."""
    from scipy.optimize import linear_sum_assignment

    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (predicted, labels), 1)
    # Where the images do not decide, an output keeps its class.
    _, order = linear_sum_assignment(counts + 1e-3 * np.eye(n_classes), maximize=True)
    return np.asarray(order, np.int64)


def described(trials: Trials, classes: Sequence[str]) -> list[str]:
    """One line for each scaling, and one for a better order of the labels."""
    width = max(len(name) for name in trials.by_scaling)
    best = trials.best
    lines = []
    for name, trial in trials.by_scaling.items():
        line = f"{name:<{width}}  {100 * trial.accuracy:5.1f}%"
        if best.fits_other_order and trial.fits_other_order:
            order = ", ".join(classes[i] for i in trial.order)
            line += f", or {100 * float(trial.reordered.mean()):.1f}% with the labels in the order {order}"
        lines.append(line + ("  (best)" if trial is best else ""))
    return lines


def _better(one: Trial, other: Trial, other_order: bool) -> bool:
    """Whether ``one`` is clearly better, both with the labels as given or both with the best ``other_order``."""
    first, second = (trial.reordered if other_order else trial.correct for trial in (one, other))
    return mcnemar_exact(int((first & ~second).sum()), int((second & ~first).sum())) <= SURE and bool(
        first.mean() > second.mean()
    )
