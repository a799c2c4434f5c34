"""Parts of ``report.json``: the verdict, claims, published figures, leaks, warnings."""

from __future__ import annotations

from typing import Literal

from edgekit.documents.audit import ShortcutRecord
from edgekit.documents.base import Part

Range = tuple[float, float]
"""The low and the high end of an interval."""

Verdict = Literal["supported", "refuted", "undecided"]


class Winner(Part):
    """A model that answers a question of the verdict."""

    title: str
    """Model, strategy and exported file."""
    number: int | None = None
    """Its number in the tables; ``null`` for a Keras model, which has none."""
    figure: str = ""
    """What it reaches, where each winner has a figure of its own."""


class Finding(Part):
    """One line of the verdict. Without ``winners`` the question has no answer yet, and ``remark`` says why."""

    question: str
    """``Most accurate``, ``Fastest, 1 thread``, ``Smallest``, ``Pareto front``, or a constraint of the recipe."""
    winners: tuple[Winner, ...]
    """The models that answer it; several where they are equal."""
    figure: str
    """What the winners reach, in words."""
    remark: str
    """What the difference to the others is worth."""


class MoreNeeded(Part):
    """How many more seeds, images or rounds would decide a claim, if the estimate stays as it is."""

    unit: str
    """``seeds``, ``images``, ``rounds`` or ``epochs``."""
    n: int
    """How many more."""


class ClaimPair(Part):
    """One pair of models that a claim is about. The effect is a difference in points or nats, or a ratio left/right."""

    left: str
    """The model on the left."""
    right: str
    """The model on the right."""
    verdict: Verdict
    """Verdict on this pair."""
    effect: float
    """The measured effect, in the unit of the claim."""
    effect_ci95: Range | None
    """Its interval; ``null`` if too little was measured for one."""
    basis: str
    """What was measured: seeds, images, rounds."""
    more_would_decide: MoreNeeded | None
    """What would decide the pair, where it is undecided."""
    remark: str
    """What to know about the evidence."""
    reported_effect: float | None
    """The effect in the published figures of the recipe."""
    reported_effect_ci95: Range | None
    """Interval of the reported effect, where the source gives counts."""
    reported_source: str
    """The source of the reported effect, or an empty string."""


class JudgedClaim(Part):
    """A claim of the recipe with its verdict."""

    text: str
    """The claim in words."""
    verdict: Verdict
    """Verdict on the claim as a whole."""
    reason: str
    """Why nothing, or not everything, could be judged."""
    unit: Literal["points", "nats", "ratio"]
    """Unit of the effects."""
    relation: str
    """Where the effect must lie for the claim to hold."""
    pairs: tuple[ClaimPair, ...]
    """Every pair of models that was judged."""


class ReportedFigure(Part):
    """A published figure named in the recipe; edgekit did not measure it."""

    model: str
    """The backbone."""
    strategy: str
    """With the arm, if the figure belongs to one."""
    accuracy: float | None
    """Accuracy on test images (0 to 1)."""
    n_samples: int
    """Number of images behind ``accuracy``, or behind ``val_accuracy`` where that is all there is."""
    ci95: Range | None
    """Interval of ``accuracy``."""
    source: str
    """Where the figure was published."""
    val_accuracy: float | None
    """Accuracy on validation images (0 to 1)."""
    val_ci95: Range | None
    """Interval of ``val_accuracy``, where ``n_samples`` counts validation images because there is no ``accuracy``."""
    loss: float | None
    """Cross-entropy on test images, in nats."""
    val_loss: float | None
    """Cross-entropy on validation images, in nats."""
    train_seconds: float | None
    """Training time."""
    size_bytes: float | None
    """Size of the file that the source describes."""


class ScoreRecord(Part):
    """Accuracy on some images."""

    accuracy: float
    """Accuracy (0 to 1)."""
    n_samples: int
    """Number of images."""
    ci95: Range
    """Wilson's interval."""


class LeakEffect(Part):
    """Accuracy of one Keras model on the test images with and without those that duplicate a training image."""

    title: str
    """Model, strategy and seed."""
    all: ScoreRecord | None
    """On all test images."""
    without_exact: ScoreRecord | None
    """Without exact duplicates of training or validation images."""
    without_exact_and_near: ScoreRecord | None
    """Without exact and near duplicates."""
    leaked: ScoreRecord | None
    """On the duplicates alone."""


class LeakSummary(Part):
    """The audit of a study's images, in brief."""

    leaked_exact: int
    """Number of test images that are exact duplicates of a training or validation image."""
    leaked_near: int
    """Number of test images that are near duplicates of one."""
    n_test: int
    """Number of test images."""
    accuracies: tuple[LeakEffect, ...]
    """Accuracy of each Keras model with and without leaked images."""
    shortcuts: tuple[ShortcutRecord, ...]
    """File properties that predict the class."""


class WarningRecord(Part):
    """A warning, and the names of what it is about."""

    text: str
    """The warning."""
    about: tuple[str, ...]
    """Runs or exported files."""


class MissingRecord(Part):
    """A missing result, and the command that creates it (or an empty string)."""

    text: str
    """What is missing."""
    command: str
    """The command that makes it, or an empty string."""
