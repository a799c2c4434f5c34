"""The content of a report, computed once: the sections show it, and ``report.json`` stores it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from edgekit.documents.report_findings import (
    Comparability,
    Finding,
    JudgedClaim,
    MissingRecord,
    RecommendationRecord,
    ReportedFigure,
    WarningRecord,
)
from edgekit.documents.report_rows import ValidityFlag
from edgekit.recipe import Constraint
from edgekit.report.model.claim_verdicts import judged_claims
from edgekit.report.model.classes import ClassComparison, class_comparisons
from edgekit.report.model.comparability import comparability
from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.corruption_rows import Robustness, robustness
from edgekit.report.model.doubts import doubts_of
from edgekit.report.model.efficiency import EfficiencyRow, EqualTerms, efficiency, equal_terms
from edgekit.report.model.exported_files import ExportedFile, exported_files
from edgekit.report.model.front import front
from edgekit.report.model.groups import Group, grouped, thread_counts
from edgekit.report.model.leaks import Leaks, leaks
from edgekit.report.model.learning import Learning, learning
from edgekit.report.model.limits import limits
from edgekit.report.model.missing import missing
from edgekit.report.model.planned import absent_files
from edgekit.report.model.published import Published, published
from edgekit.report.model.ranking import AccuracyRanking, accuracy_ranking
from edgekit.report.model.recommendation import constraint_findings, recommendation
from edgekit.report.model.reported import reported_figures
from edgekit.report.model.source import RunData, Source
from edgekit.report.model.trivial_baselines import Trivial, trivial_baselines
from edgekit.report.model.validity import validity
from edgekit.report.model.verdict import findings
from edgekit.report.model.warnings import warnings
from edgekit.stats.calibration_bias import CalibrationError

MOST_CALIBRATED = 60
"""With more runs, the calibration error is shown without the correction, which is simulated for each run."""


@dataclass(frozen=True)
class TargetReport:
    """What was measured on one target; ``threads`` is the fewest that something was measured with."""

    groups: list[Group]
    threads: int
    front: list[Group]
    """The Pareto front with ``threads`` threads."""
    efficiency: list[EfficiencyRow]
    equal: EqualTerms | None
    ranking: AccuracyRanking | None


@dataclass(frozen=True)
class Report:
    """The content of a report."""

    source: Source
    created: str
    edgekit_version: str
    files: list[ExportedFile]
    groups: list[Group]
    comparisons: Comparisons
    recommendation: RecommendationRecord | None
    findings: list[Finding]
    limits: list[str]
    warnings: list[WarningRecord]
    missing: list[MissingRecord]
    reported: list[ReportedFigure]
    published: Published | None
    robustness: Robustness | None
    claims: list[JudgedClaim]
    comparability: Comparability | None
    baselines: Trivial | None
    leaks: Leaks | None
    by_target: dict[str, TargetReport]
    learning: Learning | None
    classes: list[ClassComparison]

    @property
    def runs(self) -> list[RunData]:
        return self.source.runs

    def calibration(self, run: RunData) -> CalibrationError | None:
        """The calibration error without the bias of few images; None in reports on very many runs, for the time."""
        return run.calibration if self.calibrated else None

    @property
    def calibrated(self) -> bool:
        """Whether calibration errors are shown without that bias."""
        return len(self.runs) <= MOST_CALIBRATED

    @cached_property
    def targets(self) -> list[str]:
        return list(dict.fromkeys(file.target for file in self.files if file.target is not None))

    @cached_property
    def several_targets(self) -> bool:
        return len(self.targets) > 1

    @cached_property
    def threads(self) -> list[int]:
        return thread_counts(self.groups)

    @cached_property
    def means_over_seeds(self) -> bool:
        """Whether a group has several seeds, so that the numbers in the verdict are those of the groups."""
        return any(len(group.members) > 1 for group in self.groups)

    @cached_property
    def several_seeds(self) -> bool:
        return len({run.seed for run in self.runs}) > 1

    def of_target(self, target: str | None) -> list[Group]:
        return [group for group in self.groups if group.target == target]

    def validity(self, file: ExportedFile, threads: int) -> tuple[ValidityFlag, ...]:
        """The validity flags of a file that was measured with so many threads."""
        assert file.bench is not None
        latency = file.bench.with_threads(threads)
        assert latency is not None
        return validity(file.bench, latency, self.comparisons.session_of(file, threads))

    def on_front(self, file: ExportedFile) -> bool:
        """Whether its group is on the Pareto front of its target with the fewest threads."""
        return file.number in self._front_numbers

    @cached_property
    def _front_numbers(self) -> frozenset[int]:
        fronts = (target.front for target in self.by_target.values())
        return frozenset(file.number for front in fronts for group in front for file in group.members)


def compose(source: Source, created: str, edgekit_version: str, constraint: Constraint | None = None) -> Report:
    """Everything the folder's documents say; ``constraint`` is what the recommended file must meet."""
    files = exported_files(source.runs)
    groups = grouped(files)
    comparisons = Comparisons(files)
    audit = None if source.collected else leaks(source.path, source.runs)
    trivial = trivial_baselines(source, audit)
    of_images = audit.doubt if audit is not None else trivial.doubt if trivial is not None else ""
    targets = _by_target(groups, comparisons)
    absent = absent_files(source, files)
    doubts = doubts_of(source, groups, absent, audit)
    return Report(
        source=source,
        created=created,
        edgekit_version=edgekit_version,
        files=files,
        groups=groups,
        comparisons=comparisons,
        recommendation=recommendation(source, groups, comparisons, doubts, constraint, of_images),
        findings=[
            *findings(source.runs, groups, comparisons, absent),
            *constraint_findings(source, groups, comparisons),
        ],
        limits=limits(source, groups, comparisons, audit.limit if audit else None, trivial),
        warnings=warnings(source, files, comparisons),
        missing=missing(source, files),
        reported=reported_figures(source),
        published=published(source, groups),
        robustness=robustness(source.runs),
        claims=judged_claims(source, files, comparisons),
        comparability=comparability(source, files),
        baselines=trivial,
        leaks=audit,
        by_target=targets,
        learning=learning(source.runs),
        classes=class_comparisons(groups, comparisons),
    )


def _by_target(groups: Sequence[Group], comparisons: Comparisons) -> dict[str, TargetReport]:
    """By target on which a latency was measured."""
    found = {}
    for target in dict.fromkeys(group.target for group in groups if group.target is not None):
        members = [group for group in groups if group.target == target]
        counts = thread_counts(members)
        if counts:
            found[target] = TargetReport(
                groups=members,
                threads=counts[0],
                front=front(members, counts[0]),
                efficiency=efficiency(members, counts[0]),
                equal=equal_terms(members, counts[0]),
                ranking=accuracy_ranking(members, comparisons),
            )
    return found
