"""Parts of ``report.json``: the verdict, claims, published figures, leaks, warnings."""

from __future__ import annotations

from typing import Literal

from edgekit.documents.audit import BaselineAccuracy, Baselines, NearestNeighbourAccuracy, ShortcutRecord
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
    """What it reaches, if the winners have different figures."""


class Finding(Part):
    """One line of the verdict. Without ``winners`` the question has no answer yet, and ``remark`` says why."""

    question: str
    """``Most accurate``, ``Fastest, 1 thread``, ``Smallest``, ``Pareto front``, or a constraint of the recipe."""
    winners: tuple[Winner, ...]
    """The models that answer it; several if they are equal."""
    figure: str
    """What the winners reach, in words."""
    remark: str
    """What the difference to the others is worth."""


class RecommendedFile(Part):
    """An exported file that the recommendation names; one for all seeds of a model."""

    number: int
    """Its number in the tables."""
    title: str
    """Model, strategy and exported file."""
    run_ids: tuple[str, ...]
    """The runs that it was exported from, one for each seed."""
    format: str
    """File format."""
    scheme: str
    """Scheme."""


class RecommendationRecord(Part):
    """Which exported file to deploy, by rule.

    Among the files that meet the constraints and are shown to lose at most the allowed accuracy against the best, the
    fastest; of those that latency does not separate, the smallest.
    """

    status: Literal["chosen", "none", "undecided"]
    """``none``: no file meets the constraints. ``undecided``: what was measured does not decide."""
    exports: tuple[RecommendedFile, ...]
    """The chosen file; with ``none`` the nearest one; with ``undecided`` those that it is undecided between."""
    target: str | None
    """The target that the latency is of; None where nothing was measured on one."""
    threads: int | None
    """Number of threads that the latency was measured with; None without a latency."""
    runtime: str | None
    """The runtime that the first of ``exports`` was measured with."""
    reasons: tuple[str, ...]
    """Sentences: its numbers with their intervals, and what it was chosen from."""
    doubts: tuple[str, ...]
    """Sentences: what speaks against it, the strongest doubt first."""


class SameTestImages(Part):
    """Runs that were tested on the same images."""

    run_ids: tuple[str, ...]
    """The runs."""
    n_images: int
    """Number of test images; 0 for runs that were not tested."""


class SameSession(Part):
    """Exported files that were timed in one session."""

    session_id: str
    """The session."""
    target: str
    """Where it was measured."""
    run_ids: tuple[str, ...]
    """The runs of these files."""
    numbers: tuple[int, ...]
    """The numbers of the files in the tables."""


class Comparability(Part):
    """Which runs of a report can be compared, and which cannot."""

    test_images: tuple[SameTestImages, ...]
    """Sets of runs whose accuracies can be compared."""
    sessions: tuple[SameSession, ...]
    """Sets of exported files whose latencies can be compared."""
    sentences: tuple[str, ...]
    """The same in words."""


class MoreNeeded(Part):
    """How many more seeds, images or rounds would decide a claim, if the estimate stays as it is."""

    unit: str
    """``seeds``, ``images`` or ``rounds``."""
    n: int
    """How many more."""
    images: int = 0
    """How many more test images are needed as well."""
    power: float | None = None
    """The chance that so many decide the claim (0 to 1)."""


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
    """What would decide an undecided pair."""
    remark: str
    """What to know about the evidence."""
    reported_effect: float | None
    """The effect in the published figures of the recipe."""
    reported_effect_ci95: Range | None
    """Interval of the reported effect, if the source gives counts."""
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
    about: Literal["methods", "networks"] = "methods"
    """Whether the claim is about methods (any seed) or about these trained networks only."""
    missing: tuple[str, ...] = ()
    """What the study planned and did not measure, by name. Such a claim is not supported."""
    p: float | None = None
    """p-value of the direction that the evidence points to; None where it points nowhere or effects are counted."""
    p_holm: float | None = None
    """The same, corrected for all claims of the recipe (Holm)."""
    after_the_fact: bool = False
    """Whether the claim was written or changed after the first result of the study."""


class ReportedFigure(Part):
    """A published figure named in the recipe; edgekit did not measure it."""

    model: str
    """The backbone."""
    strategy: str
    """With the arm, if the figure belongs to one."""
    accuracy: float | None
    """Accuracy on test images (0 to 1)."""
    n_samples: int
    """Number of images behind ``accuracy``, or behind ``val_accuracy`` if that is all there is."""
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


class LeakDifference(Part):
    """Accuracy on leaked and on other test images, averaged over the classes with their shares in the test split."""

    leaked: float | None
    """Class-standardised accuracy on leaked images (0 to 1); None where no class has both kinds of images."""
    clean: float | None
    """The same on the other images."""
    difference: float | None
    """``leaked`` less ``clean``."""
    difference_ci95: Range | None
    """Its interval, over such images (duplicates count as one)."""
    verdict: str
    """``higher on leaked images``, ``may be too high``, ``lower on leaked images`` or that no class has both kinds."""


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
    standardised: LeakDifference | None = None
    """Leaked against other images within classes; None without leaked images."""


class TrivialBaselines(Part):
    """What is reached on the test images without any network."""

    majority: BaselineAccuracy
    """Always predicting the largest class of the training images."""
    nearest_neighbour: NearestNeighbourAccuracy | None
    """Predicting the class of the nearest image; ``null`` for runs that an older edgekit trained."""


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
    baselines: Baselines | None = None
    """Accuracies that need no network."""


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


class PublishedRecord(Part):
    """A published figure of one of the backbones; edgekit did not measure it. Text is empty where it is not known."""

    backbone: str
    """Name of the backbone."""
    quantity: Literal["latency_ms", "top1"]
    """``latency_ms``: milliseconds for one image of 224 x 224; ``top1``: accuracy on ImageNet in percent."""
    value: float
    """The figure, in the unit of ``quantity``."""
    precision: str
    """``fp32``, ``fp16``, ``float`` (32 or 16 bits) or ``int8``."""
    device: str
    """Device that it was measured on."""
    threads: str
    """Number of threads or cores."""
    runtime: str
    """Runtime or format."""
    method: str
    """How it was measured or quantized."""
    not_stated: tuple[str, ...]
    """Conditions that the source does not state."""
    source: str
    """Repository and file, or document."""
