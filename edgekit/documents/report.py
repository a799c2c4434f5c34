"""``report.json``: what a report says about a run or a study, for programs.

The page, ``report.md`` and the model cards show the same values. Accuracies are fractions (0 to 1) unless a name says
otherwise, and ``_ci95`` fields are 95% intervals, low and high.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from edgekit.documents.audit import ShortcutRecord
from edgekit.documents.base import Document, JsonObject, Part
from edgekit.documents.bench import EnergyPerRun, HostAgreement, SustainedSummary
from edgekit.documents.corruptions import ModelUnderCorruption, PairUnderCorruption
from edgekit.documents.profile import Profile

Range = tuple[float, float]
"""The low and the high end of an interval."""

Verdict = Literal["supported", "refuted", "undecided"]


class Winner(Part):
    """A model that answers a question of the verdict."""

    title: str
    number: int | None = None
    """Its number in the tables; None for a Keras model, which has none."""
    figure: str = ""


class Finding(Part):
    """One line of the verdict. Without ``winners`` the question has no answer yet, and ``remark`` says why."""

    question: str
    winners: tuple[Winner, ...]
    figure: str
    remark: str


class MoreNeeded(Part):
    """How many more seeds, images or rounds would decide a claim, if the estimate stays as it is."""

    unit: str
    n: int


class ClaimPair(Part):
    """One pair of models that a claim is about. The effect is a difference in points or nats, or a ratio left/right."""

    left: str
    right: str
    verdict: Verdict
    effect: float
    effect_ci95: Range | None
    basis: str
    """What was measured: seeds, images, rounds."""
    more_would_decide: MoreNeeded | None
    remark: str
    reported_effect: float | None
    """The effect in the published figures of the recipe."""
    reported_effect_ci95: Range | None
    reported_source: str


class JudgedClaim(Part):
    """A claim of the recipe with its verdict."""

    text: str
    verdict: Verdict
    reason: str
    """Why nothing, or not everything, could be judged."""
    unit: Literal["points", "nats", "ratio"]
    relation: str
    """Where the effect must lie for the claim to hold."""
    pairs: tuple[ClaimPair, ...]


class ReportedFigure(Part):
    """A published figure named in the recipe; edgekit did not measure it."""

    model: str
    strategy: str
    """With the arm, if the figure belongs to one."""
    accuracy: float | None
    n_samples: int
    ci95: Range | None
    source: str
    val_accuracy: float | None
    val_ci95: Range | None
    """Interval of ``val_accuracy``, where ``n_samples`` counts validation images because there is no ``accuracy``."""
    loss: float | None
    val_loss: float | None
    train_seconds: float | None
    size_bytes: float | None


class ScoreRecord(Part):
    """Accuracy on some images."""

    accuracy: float
    n_samples: int
    ci95: Range


class LeakEffect(Part):
    """Accuracy of one Keras model on the test images with and without those that repeat a training image."""

    title: str
    all: ScoreRecord | None
    without_exact: ScoreRecord | None
    without_exact_and_near: ScoreRecord | None
    leaked: ScoreRecord | None


class LeakSummary(Part):
    """The audit of a study's images, in brief."""

    leaked_exact: int
    leaked_near: int
    n_test: int
    accuracies: tuple[LeakEffect, ...]
    shortcuts: tuple[ShortcutRecord, ...]


class CostRecord(Part):
    """One cost, and how many times that of the reference it is; None: unknown."""

    value: float | None
    times_reference: float | None


class EfficiencyRecord(Part):
    """The costs of one exported file; with several seeds, of one kind of exported file."""

    number: int
    title: str
    reference: bool
    front_probability: float | None
    """Share of bootstrap draws in which it is on the Pareto front."""
    parameters: CostRecord
    macs: CostRecord
    size_bytes: CostRecord
    model_rss_bytes: CostRecord
    joules_per_inference: CostRecord
    latency_ms_p50: CostRecord
    train_seconds: CostRecord


class RankedRecord(Part):
    """One place in the order of accuracy; exported files that share a letter are not distinguishable."""

    number: int
    title: str
    letters: str
    mean_rank: float | None
    points_behind: float | None
    points_behind_ci95: Range | None


class RankingRecord(Part):
    """Exported files in the order of their accuracy."""

    rows: tuple[RankedRecord, ...]
    pairs_tested: int
    critical_difference: float | None
    friedman_p: float | None
    seeds: int


class EqualBackbone(Part):
    """One backbone at the accuracy, and at the latency, that every backbone reaches."""

    backbone: str
    latency_ms_at_equal_accuracy: float | None
    file_at_equal_accuracy: str | None
    accuracy_at_equal_latency: float | None
    file_at_equal_latency: str | None


class EqualTermsRecord(Part):
    """Backbones at equal accuracy and at equal latency."""

    accuracy: float
    latency_ms: float
    threads: int
    backbones: tuple[EqualBackbone, ...]


class CurvePoint(Part):
    """One quantity after one epoch, over all seeds."""

    epoch: int
    """Counted over all phases, from 1."""
    mean: float
    lowest: float
    highest: float


class LearningCurve(Part):
    """The training of one kind of model over its seeds; None: not known for every seed."""

    title: str
    seeds: tuple[int, ...]
    epochs: tuple[int, int]
    """The fewest and the most epochs that a seed ran."""
    curves: dict[str, tuple[CurvePoint, ...]]
    """By column of ``history.csv``, up to the epoch that every seed reached."""
    validation: float | None
    validation_sd: float | None
    test: float | None
    test_ci95: Range | None
    overfit: float | None
    """Training minus validation accuracy in the last epoch, mean over seeds."""
    train_seconds: float | None


class LearningCurves(Part):
    """All kinds of model on one axis of epochs."""

    stages: tuple[tuple[str, int], ...]
    """Phases of training: the name, and the number of epochs before it."""
    kinds: tuple[LearningCurve, ...]


class ClassRecord(Part):
    """Recall of one class by two exported files."""

    label: str
    n_images: int
    recall_left: float
    recall_right: float
    difference: float
    difference_ci95: Range
    p_holm: float
    """Corrected for all classes and pairs of the report (Holm)."""


class ClassDifferences(Part):
    """Two exported files, class by class, on the same images."""

    left: str
    right: str
    n_seeds: int
    n_tests: int
    classes: tuple[ClassRecord, ...]


class ReportedRun(Part):
    """One trained network."""

    run_id: str
    backbone: str
    strategy: str
    seed: int
    status: str
    arm: str | None = None
    accuracy: float | None
    n_samples: int | None
    accuracy_ci95: Range | None
    macro_f1: float | None
    log_loss: float | None
    ece: float | None
    parameters: int | None
    keras_size_bytes: int | None
    train_seconds: float | None
    run_dir: str
    """The run folder, below the folder of the report."""


class LatencyRecord(Part):
    """Latency of one file with one thread setting, in milliseconds; None: too few runs for that percentile."""

    threads: int
    n_runs: int
    latency_ms_p50: float | None
    latency_ms_p90: float | None
    latency_ms_p95: float | None
    latency_ms_p99: float | None
    load_ms: float
    first_ms: float
    preprocess_ms_p50: float | None
    postprocess_ms_p50: float | None
    unstable: tuple[str, ...]


class ExportedFileRecord(Part):
    """One exported file on one target; ``target`` is None where it was not measured."""

    number: int
    run_id: str
    backbone: str
    strategy: str
    arm: str | None = None
    seed: int
    format: str
    scheme: str
    status: str
    problems: tuple[str, ...]
    marks: tuple[str, ...]
    """What a reader must know before using the numbers: ``failed``, ``emulated``, ``unstable``, ``float operators``."""
    on_pareto_front: bool
    accuracy: float | None
    n_samples: int | None
    accuracy_ci95: Range | None
    accuracy_drop: float | None
    """Accuracy of the Keras model minus that of the file, on the same images."""
    agreement_with_keras: float | None
    size_bytes: int | None
    gzip_bytes: int | None
    sha256: str | None
    target: str | None
    emulated: bool
    runtime: str | None
    protocol: str | None
    session_id: str | None
    baseline_rss_bytes: int | None
    peak_rss_bytes: int | None
    model_rss_bytes: int | None
    joules_per_inference: float | None = None
    profile: Profile | None = None
    latency: tuple[LatencyRecord, ...]
    agreement_with_host: HostAgreement | None = None
    energy: EnergyPerRun | None = None
    sustained: SustainedSummary | None = None
    result: str | None
    """The bench result, below the folder of the report."""


class SeedGroup(Part):
    """Exported files that differ in their seed only; means over seeds."""

    number: int
    title: str
    backbone: str
    strategy: str
    arm: str | None = None
    format: str
    scheme: str
    size_bytes: int | None
    target: str | None
    marks: tuple[str, ...]
    on_pareto_front: bool
    seeds: tuple[int, ...]
    accuracy_mean: float | None
    accuracy_sd: float | None
    accuracy_ci95: Range | None
    latency_ms_p50: dict[str, float | None]
    """By number of threads."""


class NoiseFloorRecord(Part):
    """The A/A control of one session and thread count: ratios within ``floor`` are noise."""

    session_id: str
    threads: int
    model: str
    ratio: float
    ratio_ci95: Range
    n_rounds: int
    floor: Range


class WarningRecord(Part):
    """A warning, and the names of what it is about."""

    text: str
    about: tuple[str, ...]


class MissingRecord(Part):
    """What is not there yet, and the command that makes it (or an empty string)."""

    text: str
    command: str


class RobustnessOfRun(Part):
    """Everything that one run's models were shown."""

    run_id: str
    models: tuple[ModelUnderCorruption, ...]
    paired: tuple[PairUnderCorruption, ...]


class RobustnessOfFile(Part):
    """A kind of exported file against its fp32 counterpart under corruption, over all seeds."""

    title: str
    target: str
    model: str
    reference: str
    seeds: int
    verdict: Verdict
    clean_loss: float
    clean_loss_ci95: Range
    corrupted_loss: float
    corrupted_loss_ci95: Range
    extra_loss: float
    extra_loss_ci95: Range
    margin: float


class ArmEffect(Part):
    """Difference of accuracy between two arms under one corruption."""

    corrupted: float
    corrupted_ci95: Range


class RobustnessOfArm(Part):
    """One arm of a study against the first one, on clean and on corrupted images."""

    title: str
    target: str
    arm: str
    reference: str
    seeds: int
    verdict: Verdict
    clean: float
    clean_ci95: Range
    corrupted: float
    corrupted_ci95: Range
    by_corruption: dict[str, ArmEffect]


class ReportDocument(Document):
    """What a report says about a run or a study. Paths are relative to that folder."""

    kind: Literal["run", "study"]
    name: str
    created: str
    """ISO 8601, UTC."""
    edgekit_version: str
    verdict: tuple[Finding, ...]
    limits: tuple[str, ...]
    """What the numbers do not prove."""
    claims: tuple[JudgedClaim, ...] = ()
    reported: tuple[ReportedFigure, ...] = ()
    audit: LeakSummary | None = None
    efficiency: dict[str, tuple[EfficiencyRecord, ...]] = Field(default_factory=dict)
    """By target; so are ``ranking`` and ``equal_terms``."""
    ranking: dict[str, RankingRecord] = Field(default_factory=dict)
    equal_terms: dict[str, EqualTermsRecord] = Field(default_factory=dict)
    learning_curves: LearningCurves | None = None
    class_differences: tuple[ClassDifferences, ...] = ()
    runs: tuple[ReportedRun, ...]
    candidates: tuple[ExportedFileRecord, ...]
    """The exported files, once for each target they were measured on."""
    groups: tuple[SeedGroup, ...]
    """Means over seeds; empty where every model has one seed."""
    noise_floor: tuple[NoiseFloorRecord, ...]
    warnings: tuple[WarningRecord, ...]
    robustness: tuple[RobustnessOfRun, ...] = ()
    robustness_of_files: tuple[RobustnessOfFile, ...] = ()
    robustness_of_arms: tuple[RobustnessOfArm, ...] = ()
    missing: tuple[MissingRecord, ...]
    report_html: str | None = None
    """Path of the page, in what ``edgekit report --json`` prints; never in the stored file, and so is the next."""
    report_json: str | None = None

    _PRINTED_ONLY: ClassVar[tuple[str, ...]] = ("report_html", "report_json")

    def to_dict(self) -> JsonObject:
        """The document as JSON-ready values; paths of this machine only where they are set."""
        values: dict[str, Any] = super().to_dict()
        return {key: value for key, value in values.items() if key not in self._PRINTED_ONLY or value is not None}
