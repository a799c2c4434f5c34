"""The accuracy gate: how much accuracy an exported file loses against the Keras model, compared image by image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.export import GateRecord, Verdict
from edgekit.stats.intervals import paired_difference_interval

HELD: Verdict = "held"
UNDECIDED: Verdict = "undecided"
FAILED: Verdict = "failed"


@dataclass(frozen=True)
class Gate:
    """The predictions of an exported file compared with the Keras model's on the same N validation images.

    ``drop`` and ``interval`` are fractions of the images, positive where the file is worse. ``worse`` and ``better``
    are positions of images that changed from correct to wrong and from wrong to correct.
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
        """The paired 95% interval of ``drop``."""
        return paired_difference_interval(len(self.worse), len(self.better), self.n_images)

    @property
    def verdict(self) -> Verdict:
        """``held``: the drop is within the limit. ``failed``: it exceeds the limit, and is statistically significant.

        ``undecided``: it exceeds the limit, but so few images changed that the file may be as good as the model.
        """
        if self.drop <= self.max_drop + 1e-12:
            return HELD
        return FAILED if self.interval[0] > 0 else UNDECIDED

    def sentence(self) -> str:
        """The result with its interval, in words."""
        low, high = (100 * value for value in self.interval)
        return (
            f"the file loses {100 * self.drop:.1f} points of accuracy against the Keras model "
            f"(95% interval {low:.1f} to {high:.1f}; limit: {100 * self.max_drop:g}): {len(self.worse)} of "
            f"{self.n_images} validation images changed from correct to wrong, {len(self.better)} from wrong to correct"
        )

    def record(self, files: list[str]) -> GateRecord:
        """The ``gate`` of ``export.json``, in points of accuracy. ``files`` (N,) are the names of the images."""
        low, high = self.interval
        return GateRecord(
            verdict=self.verdict,
            max_drop_points=100 * self.max_drop,
            drop_points=100 * self.drop,
            drop_ci95_points=(100 * low, 100 * high),
            n_images=self.n_images,
            agreement=self.agreement,
            became_wrong=tuple(files[i] for i in self.worse.tolist()),
            became_right=tuple(files[i] for i in self.better.tolist()),
        )


def judge(
    keras: NDArray[np.float32], exported: NDArray[np.float32], labels: NDArray[np.int32], max_drop: float
) -> Gate:
    """Compare probabilities (N, classes) on images whose true classes are ``labels`` (N,).

    ``max_drop`` is a fraction: 0.01 is one percentage point.
    """
    before, after = keras.argmax(axis=1), exported.argmax(axis=1)
    return Gate(
        max_drop=max_drop,
        n_images=len(labels),
        agreement=float((before == after).mean()),
        worse=np.flatnonzero((before == labels) & (after != labels)),
        better=np.flatnonzero((before != labels) & (after == labels)),
    )
