"""``report.json``: what a report says about a run or a study, for programs.

The page, ``report.md`` and the model cards show the same values. Accuracies are fractions (0 to 1) unless a name says
otherwise, and ``_ci95`` fields are 95% intervals, low and high.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from edgekit.documents.base import Document, JsonObject
from edgekit.documents.report_comparisons import (
    ClassDifferences,
    EfficiencyRecord,
    EqualTermsRecord,
    LearningCurves,
    RankingRecord,
    RobustnessOfArm,
    RobustnessOfFile,
    RobustnessOfRun,
)
from edgekit.documents.report_findings import (
    Comparability,
    Finding,
    JudgedClaim,
    LeakSummary,
    MissingRecord,
    PublishedRecord,
    RecommendationRecord,
    ReportedFigure,
    TrivialBaselines,
    WarningRecord,
)
from edgekit.documents.report_rows import ExportedFileRecord, ReportedRun, SeedGroup, SessionNoiseFloor


class ReportDocument(Document):
    """What a report says about a run, a study or several runs. Paths are relative to their folder."""

    kind: Literal["run", "study", "runs"]
    """What the report is about; ``runs`` are several that no study planned."""
    name: str
    """Name of the run or study, or of the folder of several runs."""
    created: str
    """ISO 8601, UTC."""
    edgekit_version: str
    """Version that wrote the report."""
    recommendation: RecommendationRecord | None = None
    """Which exported file to deploy; None where no exported file was scored."""
    verdict: tuple[Finding, ...]
    """Answers to the usual questions."""
    limits: tuple[str, ...]
    """What the numbers do not prove."""
    claims: tuple[JudgedClaim, ...] = ()
    """The claims of the recipe, judged."""
    reported: tuple[ReportedFigure, ...] = ()
    """Published figures that the recipe names."""
    published: tuple[PublishedRecord, ...] = ()
    """Published figures of the same backbones, from the table that comes with edgekit."""
    comparability: Comparability | None = None
    """Which runs can be compared; ``null`` for one run, and for a study whose results can all be compared."""
    baselines: TrivialBaselines | None = None
    """Accuracies that need no network; ``null`` where the runs have different images, or no test images."""
    audit: LeakSummary | None = None
    """The audit of the study's images; ``null`` if there is none."""
    efficiency: dict[str, tuple[EfficiencyRecord, ...]] = Field(default_factory=dict)
    """The costs of exported files beside those of the most accurate one, by target."""
    ranking: dict[str, RankingRecord] = Field(default_factory=dict)
    """Exported files in the order of their accuracy, by target."""
    equal_terms: dict[str, EqualTermsRecord] = Field(default_factory=dict)
    """Backbones at equal accuracy and at equal latency, by target."""
    learning_curves: LearningCurves | None = None
    """Training over seeds; ``null`` for a single run."""
    class_differences: tuple[ClassDifferences, ...] = ()
    """Pairs of exported files, class by class."""
    runs: tuple[ReportedRun, ...]
    """The trained networks."""
    candidates: tuple[ExportedFileRecord, ...]
    """The exported files, once for each target they were measured on."""
    groups: tuple[SeedGroup, ...]
    """Means over seeds; empty if every model has one seed."""
    noise_floor: tuple[SessionNoiseFloor, ...]
    """The A/A controls of every session."""
    warnings: tuple[WarningRecord, ...]
    """Problems, and other things that need attention."""
    robustness: tuple[RobustnessOfRun, ...] = ()
    """Runs that were evaluated on corrupted images."""
    robustness_of_files: tuple[RobustnessOfFile, ...] = ()
    """Exported files against their fp32 counterparts under corruption, over all seeds."""
    robustness_of_arms: tuple[RobustnessOfArm, ...] = ()
    """Training variants on corrupted images, over all seeds."""
    missing: tuple[MissingRecord, ...]
    """Results that are missing."""
    report_html: str | None = None
    """Path of the page: only in what ``edgekit report --json`` prints, never in the stored file."""
    report_json: str | None = None
    """Path of the stored document, likewise."""

    _PRINTED_ONLY: ClassVar[tuple[str, ...]] = ("report_html", "report_json")

    def to_dict(self) -> JsonObject:
        """The document as JSON-ready values; paths of this machine only where they are set."""
        values: dict[str, Any] = super().to_dict()
        return {key: value for key, value in values.items() if key not in self._PRINTED_ONLY or value is not None}
