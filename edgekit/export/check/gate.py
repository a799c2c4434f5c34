"""The accuracy gate: how much accuracy a file loses against the Keras model, image by image, and whether it may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.stats.intervals import paired_difference_interval

HELD, UNDECIDED, FAILED = "held", "undecided", "failed"


@dataclass(frozen=True)
class Gate:
    """What a file answers on N validation images compared with the Keras model's answers on the same images.

    ``drop`` and ``interval`` are fractions of the images, positive where the file is worse; ``worse`` and ``better``
    are positions of images that changed from right to wrong and from wrong to right.
    """

    max_drop: float
    n_images: int
    agreement: float
    worse: NDArray[np.int64]
    better: NDArray[np.int64]

    @property
    def drop(self) -> float:
        return (len(self.worse) - len(self.better)) / self.n_images

    @property
    def interval(self) -> tuple[float, float]:
        """95%, paired."""
        return paired_difference_interval(len(self.worse), len(self.better), self.n_images)

    @property
    def verdict(self) -> str:
        """``held``: the drop is at most the one allowed. ``failed``: it is larger, and the file is measurably worse.

        ``undecided``: it is larger, but so few images changed that the file may be as good as the model.
        """
        if self.drop <= self.max_drop + 1e-12:
            return HELD
        return FAILED if self.interval[0] > 0 else UNDECIDED

    def sentence(self) -> str:
        """What was found, with its interval, for a person."""
        low, high = (100 * value for value in self.interval)
        return (
            f"{100 * self.drop:.1f} points of accuracy are lost against the Keras model "
            f"(95% interval {low:.1f} to {high:.1f}; allowed: {100 * self.max_drop:g}): "
            f"{len(self.worse)} of {self.n_images} validation images became wrong, {len(self.better)} right"
        )

    def document(self, files: list[str]) -> dict[str, Any]:
        """The ``gate`` of ``export.json``; points of accuracy. ``files`` (N,) are the names of the images."""
        return {
            "verdict": self.verdict,
            "max_drop_points": 100 * self.max_drop,
            "drop_points": 100 * self.drop,
            "drop_ci95_points": [100 * value for value in self.interval],
            "n_images": self.n_images,
            "agreement": self.agreement,
            "became_wrong": [files[i] for i in self.worse.tolist()],
            "became_right": [files[i] for i in self.better.tolist()],
        }


def judge(
    keras: NDArray[np.float32], exported: NDArray[np.float32], labels: NDArray[np.int32], max_drop: float
) -> Gate:
    """Compare probabilities (N, classes) on images of the true classes ``labels`` (N,).

    ``max_drop`` is a fraction: 0.01 is one point.
    """
    before, after = keras.argmax(axis=1), exported.argmax(axis=1)
    return Gate(
        max_drop=max_drop,
        n_images=len(labels),
        agreement=float((before == after).mean()),
        worse=np.flatnonzero((before == labels) & (after != labels)),
        better=np.flatnonzero((before != labels) & (after == labels)),
    )
