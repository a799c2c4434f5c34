"""Shortcuts: file properties that predict the class, which a classifier could learn instead of the content.

The class of each image is predicted from one property alone (its mode, its size, ...) as the most frequent class among
the *other* images with the same value. If these predictions are clearly more accurate than always predicting the
largest class, the property is a shortcut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.data.audit.fingerprints import Fingerprints
from edgekit.documents.audit import ShortcutRecord
from edgekit.stats.intervals import wilson_interval

CLEAR_GAIN = 0.05
"""How much more accurate than the largest class a shortcut is at least. Below that, it would hardly help a network."""

_VALUES_SHOWN = 6

Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Shortcut:
    """A property that predicts the class of ``n_images`` images.

    ``accuracy`` and ``largest_class``, the accuracy of always predicting the largest class, are 0 to 1. ``values`` has
    the number of images by value and class.
    """

    property: str
    accuracy: float
    accuracy_ci95: tuple[float, float]
    largest_class: float
    n_images: int
    values: dict[str, dict[str, int]]

    def record(self) -> ShortcutRecord:
        """The shortcut as a part of the audit document."""
        return ShortcutRecord(
            property=self.property,
            accuracy=self.accuracy,
            accuracy_ci95=self.accuracy_ci95,
            largest_class=self.largest_class,
            n_images=self.n_images,
            values=self.values,
        )


def shortcuts(prints: Fingerprints, labels: Labels, classes: Sequence[str]) -> list[Shortcut]:
    """The shortcuts among the properties of N images, the most accurate first; ``labels`` are (N,)."""
    known = np.flatnonzero(prints.readable)
    if not len(known):
        return []
    found = []
    share = float(np.bincount(labels[known]).max()) / len(known)
    for name, values in _properties(prints, known):
        correct = predicted_correctly(values, labels[known])
        low, high = wilson_interval(correct, len(known))
        if correct / len(known) >= share + CLEAR_GAIN and low > share:
            table = _table(values, labels[known], classes)
            found.append(Shortcut(name, correct / len(known), (low, high), share, len(known), table))
    return sorted(found, key=lambda shortcut: -shortcut.accuracy)


def predicted_correctly(values: NDArray[np.str_], labels: Labels) -> int:
    """Number of images (of N) whose class is the most frequent one among the other images with the same value.

    Because the image itself is left out, a property with a different value for every image is not a shortcut.
    """
    numbers = np.unique(values, return_inverse=True)[1].ravel()
    n_classes = int(labels.max(initial=-1)) + 1
    # Only the pairs of value and class that occur: a table of all of them would be images x classes at worst.
    pairs, sizes = np.unique(numbers * n_classes + labels, return_counts=True)
    value = pairs // max(1, n_classes)
    order = np.lexsort((-sizes, value))
    value, sizes = value[order], sizes[order]
    first = np.flatnonzero(np.diff(value, prepend=-1))  # the largest class of each value
    ends = np.append(first[1:], len(value))
    second = np.where(first + 1 < ends, sizes[np.minimum(first + 1, len(sizes) - 1)], 0) if len(sizes) else first
    # An image of the largest class is predicted well if its class leads without it; no other image is.
    leads = (sizes[first] > 1) & (sizes[first] - 1 > second)
    return int(sizes[first][leads].sum())


def _properties(prints: Fingerprints, known: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.str_]]]:
    widths, heights = prints.widths[known].astype(np.float64), prints.heights[known].astype(np.float64)
    yield "mode", prints.modes[known]
    yield "format", prints.formats[known]
    yield "size", np.array([f"{w:.0f}x{h:.0f}" for w, h in zip(widths, heights)])
    # Groups sizes that are only a little different, in steps of a quarter of an octave.
    area = 2.0 ** (np.round(2 * np.log2(widths * heights)) / 4)
    yield "size, roughly", np.array([f"about {side:.0f} pixels a side" for side in area])
    yield "shape", np.array([f"width / height {shape:.1f}" for shape in widths / heights])


def _table(values: NDArray[np.str_], labels: Labels, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    names, numbers, totals = np.unique(values, return_inverse=True, return_counts=True)
    shown = np.argsort(-totals, kind="stable")[:_VALUES_SHOWN]
    of_value = {value: labels[numbers.ravel() == value] for value in shown.tolist()}
    return {
        str(names[value]): dict(zip(classes, np.bincount(mine, minlength=len(classes)).tolist()))
        for value, mine in of_value.items()
    }
