"""Parts of ``report.json``: efficiency, ranking, learning curves, classes, corrupted images."""

from __future__ import annotations

from edgekit.documents.base import Part
from edgekit.documents.corruptions import ModelUnderCorruption, PairUnderCorruption
from edgekit.documents.report_findings import Range, Verdict


class CostRecord(Part):
    """One cost, and its multiple of the reference's cost; ``null`` if unknown."""

    value: float | None
    """The cost."""
    times_reference: float | None
    """Multiple of the cost of the reference."""


class EfficiencyRecord(Part):
    """The costs of one exported file; with several seeds, of one kind of exported file."""

    number: int
    """Number in the tables."""
    title: str
    """Model, strategy and exported file."""
    reference: bool
    """Whether this is the reference, the most accurate exported file."""
    front_probability: float | None
    """Share of bootstrap draws in which it is on the Pareto front."""
    parameters: CostRecord
    """Number of weights."""
    macs: CostRecord
    """Multiply-accumulates for one image."""
    size_bytes: CostRecord
    """Size of the exported file."""
    model_rss_bytes: CostRecord
    """Memory that loading and running the file adds to a fresh process."""
    joules_per_inference: CostRecord
    """Energy of one run."""
    latency_ms_p50: CostRecord
    """Median latency with the fewest threads, batch 1."""
    train_seconds: CostRecord
    """Training time of the network."""


class RankedRecord(Part):
    """One place in the order of accuracy; exported files that share a letter are not distinguishable."""

    number: int
    """Number in the tables."""
    title: str
    """Model, strategy and exported file."""
    letters: str
    """Letters of the groups that the test images do not separate."""
    mean_rank: float | None
    """Mean rank over seeds; ``null`` for a single seed."""
    points_behind: float | None
    """Percentage points below the first; ``null`` for the first."""
    points_behind_ci95: Range | None
    """Its interval, paired by image."""


class RankingRecord(Part):
    """Exported files in the order of their accuracy."""

    rows: tuple[RankedRecord, ...]
    """The most accurate first."""
    pairs_tested: int
    """Number of pairs that were tested."""
    critical_difference: float | None
    """Critical difference of mean ranks (Nemenyi); ``null`` for a single seed."""
    friedman_p: float | None
    """p-value of Friedman's test; ``null`` for a single seed."""
    seeds: int
    """Number of seeds that all have."""


class EqualBackbone(Part):
    """One backbone at the accuracy, and at the latency, that every backbone reaches."""

    backbone: str
    """The backbone."""
    latency_ms_at_equal_accuracy: float | None
    """Its lowest latency at the shared accuracy."""
    file_at_equal_accuracy: str | None
    """The exported file with that latency."""
    accuracy_at_equal_latency: float | None
    """Its best accuracy within the shared latency."""
    file_at_equal_latency: str | None
    """The exported file with that accuracy."""


class EqualTermsRecord(Part):
    """Backbones at equal accuracy and at equal latency."""

    accuracy: float
    """The best accuracy that every backbone reaches."""
    latency_ms: float
    """The lowest latency that every backbone reaches."""
    threads: int
    """Number of threads of the latencies."""
    backbones: tuple[EqualBackbone, ...]
    """Each backbone on these terms."""


class CurvePoint(Part):
    """One quantity after one epoch, over all seeds."""

    epoch: int
    """Counted over all phases, from 1."""
    mean: float
    """Mean over seeds."""
    lowest: float
    """Lowest value of a seed."""
    highest: float
    """Highest value of a seed."""


class LearningCurve(Part):
    """The training of one kind of model over its seeds; values that are not known for every seed are ``null``."""

    title: str
    """Model and strategy."""
    seeds: tuple[int, ...]
    """The seeds."""
    epochs: tuple[int, int]
    """The fewest and the most epochs that a seed ran."""
    curves: dict[str, tuple[CurvePoint, ...]]
    """By column of ``history.csv``, up to the epoch that every seed reached."""
    validation: float | None
    """Mean validation accuracy."""
    validation_sd: float | None
    """Its standard deviation over seeds; ``null`` for a single seed."""
    test: float | None
    """Mean test accuracy."""
    test_ci95: Range | None
    """Student's t interval over seeds; ``null`` for a single seed."""
    overfit: float | None
    """Training minus validation accuracy in the last epoch, mean over seeds."""
    train_seconds: float | None
    """Mean training time."""


class LearningCurves(Part):
    """All kinds of model on one axis of epochs."""

    stages: tuple[tuple[str, int], ...]
    """Phases of training: the name, and the number of epochs before it."""
    kinds: tuple[LearningCurve, ...]
    """One entry for each kind of model."""


class ClassRecord(Part):
    """Recall of one class by two exported files."""

    label: str
    """Class name."""
    n_images: int
    """Number of test images of the class."""
    recall_left: float
    """Share of them that the left file classifies correctly, mean over seeds."""
    recall_right: float
    """The same for the right file."""
    difference: float
    """Left minus right."""
    difference_ci95: Range
    """Interval of the difference."""
    p_holm: float
    """Corrected for all classes and pairs of the report (Holm)."""


class ClassDifferences(Part):
    """Two exported files, class by class, on the same images."""

    left: str
    """Title of the left file."""
    right: str
    """Title of the right file."""
    n_seeds: int
    """Number of seeds that both have."""
    n_tests: int
    """Number of tests that the p-values are corrected for."""
    classes: tuple[ClassRecord, ...]
    """Every class."""


class RobustnessOfRun(Part):
    """The models of one run on corrupted images."""

    run_id: str
    """Name of the run."""
    models: tuple[ModelUnderCorruption, ...]
    """Each model on clean and on corrupted images."""
    paired: tuple[PairUnderCorruption, ...]
    """Each exported file against its fp32 counterpart."""


class RobustnessOfFile(Part):
    """A kind of exported file against its fp32 counterpart under corruption, over all seeds."""

    title: str
    """Model and strategy."""
    target: str
    """Name of the target."""
    model: str
    """The exported file."""
    reference: str
    """Its fp32 counterpart, or ``keras``."""
    seeds: int
    """Number of seeds."""
    verdict: Verdict
    """Whether it is as robust as its counterpart."""
    clean_loss: float
    """Accuracy lost on clean images (0 to 1)."""
    clean_loss_ci95: Range
    """Its interval."""
    corrupted_loss: float
    """Accuracy lost on corrupted images."""
    corrupted_loss_ci95: Range
    """Its interval."""
    extra_loss: float
    """The second minus the first."""
    extra_loss_ci95: Range
    """Its interval."""
    margin: float
    """An extra loss of at most this much counts as equally robust."""


class ArmEffect(Part):
    """Difference of accuracy between two arms under one corruption."""

    corrupted: float
    """Difference of accuracy."""
    corrupted_ci95: Range
    """Its interval."""


class RobustnessOfArm(Part):
    """One arm of a study against the first one, on clean and on corrupted images."""

    title: str
    """Model and strategy."""
    target: str
    """Name of the target."""
    arm: str
    """The arm."""
    reference: str
    """The first arm of the study."""
    seeds: int
    """Number of seeds that both have."""
    verdict: Verdict
    """Whether the arm is more accurate on corrupted images; a single seed decides nothing."""
    clean: float
    """Difference of accuracy on clean images."""
    clean_ci95: Range
    """Its interval."""
    corrupted: float
    """Mean difference over all corruptions."""
    corrupted_ci95: Range
    """Its interval."""
    by_corruption: dict[str, ArmEffect]
    """The difference under each corruption."""
