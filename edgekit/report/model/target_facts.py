"""What a target reports besides latency: agreement with the host, energy, conditions, sustained runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.documents.bench import BenchDocument, DifferingImage, EnergyPerRun, HostAgreement, SustainedSummary
from edgekit.render.numbers import NONE, number
from edgekit.report.model.exported_files import ExportedFile

SHOWN = 20
"""Images with different predictions that are listed; the result files have all of them."""

SLICES = 8
"""A sustained run is summarized in up to this many slices."""


@dataclass(frozen=True)
class TargetFacts:
    """One file on one target."""

    file: ExportedFile
    agreement: HostAgreement | None
    """None on the host itself."""
    energy: EnergyPerRun | None
    energy_asked: bool
    """Whether bench tried to measure energy: then None means that the machine does not report its power."""
    conditions: tuple[str, ...]
    sustained: SustainedSummary | None

    @property
    def differing(self) -> tuple[DifferingImage, ...]:
        return self.agreement.differing[:SHOWN] if self.agreement else ()


def target_facts(files: Sequence[ExportedFile]) -> list[TargetFacts]:
    """One for every measured file; empty if no target reported more than latency."""
    rows = [facts_of(file, file.bench) for file in files if file.bench is not None]
    telling = any(row.agreement or row.energy_asked or row.sustained for row in rows)
    return rows if telling else []


def facts_of(file: ExportedFile, bench: BenchDocument) -> TargetFacts:
    """Everything the target reported about one file."""
    return TargetFacts(
        file,
        None if bench.accuracy is None else bench.accuracy.agreement_with_host,
        file.energy,
        bench.energy is not None,
        tuple(_conditions(bench)),
        None if bench.sustained is None else bench.sustained.summary(SLICES),
    )


def _conditions(bench: BenchDocument) -> list[str]:
    """In a few words each: governor, temperature, flags of the firmware, and why a measurement is unstable."""
    before, after = bench.environment.before, bench.environment.after
    found = [f"governor {before.governor}"] if before.governor else []
    if before.temperature_c is not None or after.temperature_c is not None:
        found.append(f"{number(before.temperature_c, 0)} to {number(after.temperature_c, 0)} °C")
    if before.throttled is not None and not any(latency.unstable for latency in bench.latency):
        found.append("not throttled")
    reasons = dict.fromkeys(reason for latency in bench.latency for reason in latency.unstable)
    return [*found, *(f"unstable: {reason}" for reason in reasons)] or [NONE]
