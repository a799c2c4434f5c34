"""The record of an accuracy gate, in ``export.json`` and, for the test split, in a bench result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.base import Part
from edgekit.stats.noninferiority import UNDECIDED, ClassLoss, GateLimits, Verdict, judge_export

GateSplit = Literal["gate", "val", "test"]


class ClassDrop(Part):
    """A class that is observed to lose more than its limit."""

    label: str
    n_images: int
    """Images of this class."""
    became_wrong: int
    became_right: int
    drop_points: float
    status: Verdict
    """``failed`` only where so many images changed that chance does not explain it, for all classes together."""


class GateRecord(Part):
    """The accuracy gate. Differences are in percentage points, positive where the exported file is worse."""

    status: Verdict
    """``held``: the loss is shown to be within the limit. ``failed``: it is shown to exceed it. ``undecided``: too few
    images to show either."""
    drop_points: float
    """Observed loss."""
    upper95_points: float
    """One-sided 95% upper bound of the loss; the gate holds where it is at most the limit."""
    lower95_points: float
    """One-sided 95% lower bound of the loss; the gate fails where it is above the limit."""
    limit_points: float
    """What a file may lose."""
    n_samples: int
    agreement: float
    """Share of the images with the same predicted class (0 to 1)."""
    agreement_status: Verdict = "held"
    """The verdict on the agreement alone."""
    agreement_floor: float = 0.0
    """Smallest allowed agreement (0 to 1)."""
    class_limit_points: float = 100.0
    """What a single class may lose."""
    classes: tuple[ClassDrop, ...] = ()
    """The classes that lose more than that, the one that loses most first."""
    more_images: int | None = None
    """About how many more images would decide about the loss (80% power); None where it is decided, or where no number
    of images would."""
    split: GateSplit = "val"
    """The split that the images come from."""
    chose_epoch: bool = False
    """Whether the best epoch was chosen on these images too, which makes any change look like a loss."""
    became_wrong: tuple[str, ...]
    """Images that the Keras model classifies correctly and the exported file does not."""
    became_right: tuple[str, ...]

    @property
    def beyond_limits(self) -> bool:
        """Whether the observed figures are beyond a limit, be it by chance."""
        return (
            self.drop_points > self.limit_points + 1e-9 or self.agreement < self.agreement_floor or bool(self.classes)
        )

    @property
    def limits(self) -> GateLimits:
        """The limits, as fractions."""
        return gate_limits(self.limit_points, 100 * self.agreement_floor, self.class_limit_points)


def gate_limits(drop_points: float, agreement_percent: float, class_points: float) -> GateLimits:
    """The limits of a gate, as fractions.

    Neither the agreement nor a class has to keep a stricter limit than the loss itself: who allows a loss of 20 points
    allows that 20% of the predictions change.
    """
    return GateLimits(
        max_loss=drop_points / 100,
        min_agreement=min(agreement_percent, max(0.0, 100 - drop_points)) / 100,
        max_class_loss=max(class_points, drop_points) / 100,
    )


def gate_record(
    keras: NDArray[np.integer[Any]],
    exported: NDArray[np.integer[Any]],
    labels: NDArray[np.integer[Any]],
    names: tuple[Sequence[str], Sequence[str]],
    limits: GateLimits,
    *,
    split: GateSplit,
) -> GateRecord:
    """Judge the predicted classes ``exported`` (N,) against ``keras`` (N,), the true classes being ``labels`` (N,).

    ``names`` are those of the C classes and those of the N images. Raises :class:`ValueError` for no images.
    """
    classes, files = names
    found = judge_export(keras, exported, labels, len(classes), limits)
    return GateRecord(
        status=found.verdict,
        drop_points=100 * found.loss,
        upper95_points=100 * found.bounds.upper,
        lower95_points=100 * found.bounds.lower,
        limit_points=100 * limits.max_loss,
        n_samples=found.n_images,
        agreement=found.agreement,
        agreement_status=found.agreement_verdict,
        agreement_floor=limits.min_agreement,
        class_limit_points=100 * limits.max_class_loss,
        classes=tuple(_class_drop(one, classes) for one in found.classes_over_limit),
        more_images=found.more_images if found.verdict == UNDECIDED else None,
        split=split,
        chose_epoch=split == "val",
        became_wrong=_named(files, (keras == labels) & (exported != labels)),
        became_right=_named(files, (keras != labels) & (exported == labels)),
    )


def _class_drop(one: ClassLoss, classes: Sequence[str]) -> ClassDrop:
    return ClassDrop(
        label=classes[one.label],
        n_images=one.n_images,
        became_wrong=one.worse,
        became_right=one.better,
        drop_points=100 * one.loss,
        status=one.verdict,
    )


def _named(files: Sequence[str], chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(files[i] for i in np.flatnonzero(chosen).tolist())
