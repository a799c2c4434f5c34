"""Properties of the files that follow the class: a classifier could learn them instead of the picture.

Every image's class is guessed from one property alone (its mode, its size, ...): the most frequent class among the
*other* images with the same value. Where that is right clearly more often than always guessing the largest class, the
property is a shortcut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.data.audit.fingerprints import Fingerprints
from edgekit.stats.intervals import wilson_interval

CLEAR_GAIN = 0.05
"""How much more often than by guessing the largest class it has to be right; below, it would help a network little."""

_VALUES_SHOWN = 6

Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Shortcut:
    """A property that tells the class. Shares are 0 to 1, of ``n_images``; ``values`` maps value to class to count."""

    property: str
    accuracy: float
    accuracy_ci95: tuple[float, float]
    largest_class: float
    n_images: int
    values: dict[str, dict[str, int]]

    def document(self) -> dict[str, Any]:
        return {
            "property": self.property,
            "accuracy": self.accuracy,
            "accuracy_ci95": list(self.accuracy_ci95),
            "largest_class": self.largest_class,
            "n_images": self.n_images,
            "values": self.values,
        }


def shortcuts(prints: Fingerprints, labels: Labels, classes: Sequence[str]) -> list[Shortcut]:
    """The properties of the N images that tell their class, the most telling first; ``labels`` are (N,)."""
    known = np.flatnonzero(prints.readable)
    if not len(known):
        return []
    found = []
    share = float(np.bincount(labels[known]).max()) / len(known)
    for name, values in _properties(prints, known):
        right = guessed_right(values, labels[known])
        low, high = wilson_interval(right, len(known))
        if right / len(known) >= share + CLEAR_GAIN and low > share:
            table = _table(values, labels[known], classes)
            found.append(Shortcut(name, right / len(known), (low, high), share, len(known), table))
    return sorted(found, key=lambda shortcut: -shortcut.accuracy)


def guessed_right(values: NDArray[np.str_], labels: Labels) -> int:
    """For how many of N images the most frequent class among the other images with the same value is their own.

    Leaving the image itself out is what keeps a property with a value for every image from looking like a shortcut.
    """
    numbers = np.unique(values, return_inverse=True)[1].ravel()
    counts = np.zeros((int(numbers.max(initial=-1)) + 1, int(labels.max(initial=-1)) + 1), dtype=np.int64)
    np.add.at(counts, (numbers, labels), 1)
    others = counts[numbers]
    mine = np.arange(len(labels))
    others[mine, labels] -= 1
    own = others[mine, labels].copy()
    others[mine, labels] = -1
    return int(np.count_nonzero((own > 0) & (own > others.max(axis=1))))


def _properties(prints: Fingerprints, known: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.str_]]]:
    widths, heights = prints.widths[known].astype(np.float64), prints.heights[known].astype(np.float64)
    yield "mode", prints.modes[known]
    yield "format", prints.formats[known]
    yield "size", np.array([f"{w:.0f}x{h:.0f}" for w, h in zip(widths, heights)])
    # Sizes that are all a little different are told from each other in steps of a quarter of an octave.
    area = 2.0 ** (np.round(2 * np.log2(widths * heights)) / 4)
    yield "size, roughly", np.array([f"about {side:.0f} pixels a side" for side in area])
    yield "shape", np.array([f"width / height {shape:.1f}" for shape in widths / heights])


def _table(values: NDArray[np.str_], labels: Labels, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    names, numbers, totals = np.unique(values, return_inverse=True, return_counts=True)
    shown = np.argsort(-totals, kind="stable")[:_VALUES_SHOWN]
    return {
        str(names[value]): {
            name: int(np.count_nonzero((numbers.ravel() == value) & (labels == label)))
            for label, name in enumerate(classes)
        }
        for value in shown.tolist()
    }
