"""Classification metrics of one split: accuracy, F1, log loss, calibration error, confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from edgekit.stats.intervals import wilson_interval

ECE_BINS = 15
"""Equal-width confidence bins of the expected calibration error, as in Guo et al. 2017."""

CONFUSION_CLASSES = 200
"""With more classes, the confusion matrix is stored by its entries."""


class ClassFigures(TypedDict):
    """Precision, recall and F1 of one class; ``support`` is its number of images."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class SplitFigures(TypedDict):
    """All metrics of one split. ``confusion`` has the true class in rows and the predicted class in columns."""

    accuracy: float
    n_samples: int
    accuracy_ci95: list[float]
    """Wilson's interval."""
    macro_f1: float
    macro_precision: float
    macro_recall: float
    log_loss: float
    ece: float
    per_class: list[ClassFigures]
    confusion: list[list[int]]
    confusion_entries: list[list[int]]
    """See :func:`confusions`."""


def classification_metrics(
    labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]], class_names: Sequence[str]
) -> SplitFigures:
    """All metrics of one split, JSON-ready.

    ``labels`` (N,) are class indices; the rows of ``probabilities`` (N, classes) sum to 1. Raises :class:`ValueError`
    for NaN or infinity: such a network has no accuracy.
    """
    from sklearn.metrics import precision_recall_fscore_support

    if not np.isfinite(probabilities).all():
        raise ValueError("the network gives NaN or infinite probabilities")
    indices = np.arange(len(class_names))
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=indices, zero_division=0.0
    )
    correct = int((predicted == labels).sum())
    matrix, entries = confusions(labels, predicted, len(class_names))
    return {
        "accuracy": correct / len(labels),
        "n_samples": len(labels),
        "accuracy_ci95": list(wilson_interval(correct, len(labels))),
        "macro_f1": float(f1.mean()),
        "macro_precision": float(precision.mean()),
        "macro_recall": float(recall.mean()),
        "log_loss": float(cross_entropy(labels, probabilities).mean()),
        "ece": expected_calibration_error(labels, probabilities),
        "per_class": [
            {
                "label": name,
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "support": int(support[i]),
            }
            for i, name in enumerate(class_names)
        ],
        "confusion": matrix,
        "confusion_entries": entries,
    }


def confusions(
    labels: NDArray[np.integer[Any]], predicted: NDArray[np.integer[Any]], n_classes: int
) -> tuple[list[list[int]], list[list[int]]]:
    """The confusion matrix, and no entries; with more than :data:`CONFUSION_CLASSES`, no matrix and its entries.

    An entry is the true class, the predicted class and the number of images, which is not 0. A matrix of 10,000 classes
    would have 100 million numbers, nearly all of them 0.
    """
    pairs = labels.astype(np.int64) * n_classes + predicted
    if n_classes <= CONFUSION_CLASSES:
        return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes).tolist(), []
    found, counts = np.unique(pairs, return_counts=True)
    return [], np.stack([found // n_classes, found % n_classes, counts], axis=1).tolist()


def cross_entropy(labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(N,): the loss of each image in nats; their mean is ``log_loss`` of :func:`classification_metrics`.

    Rows of ``probabilities`` (N, classes) are scaled to the sum 1, and a probability of 0 is raised to the smallest
    step of a float64 near 1, as in scikit-learn.
    """
    of_true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    of_true /= probabilities.sum(axis=1, dtype=np.float64)
    step = np.finfo(np.float64).eps
    return np.asarray(-np.log(np.clip(of_true, step, 1 - step)))


def expected_calibration_error(
    labels: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]], bins: int = ECE_BINS
) -> float:
    """Mean distance of confidence and accuracy over equal-width bins, weighted by their size; 0 to 1.

    Naeini et al. 2015, in the form of Guo et al. 2017 (equation 3).
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = [
        abs(correct[bin_of == b].mean() - confidence[bin_of == b].mean()) * (bin_of == b).mean()
        for b in np.unique(bin_of)
    ]
    return float(sum(gaps))
