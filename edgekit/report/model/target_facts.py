"""What a target said besides latency: the same answers as the host or not, energy, conditions, sustained load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from edgekit.documents.bench import BenchResult
from edgekit.render.numbers import NONE, number
from edgekit.report.model.rows import Candidate
from edgekit.report.render.figures import latency_over_time
from edgekit.stats.energy import Energy, SustainedLoad, sustained_load

SHOWN = 20
"""Images with another answer that are listed; the result files have all."""

SLICES = 8


@dataclass(frozen=True)
class DeviceRow:
    """One file on one target."""

    candidate: Candidate
    agreement: dict[str, Any] | None
    """``n_images``, ``n_same``, ``max_difference`` and ``differing``; None on the host itself."""
    energy: Energy | None
    energy_asked: bool
    """Whether the machine was asked for its power at all: then None says that it does not tell."""
    conditions: tuple[str, ...]
    sustained: SustainedLoad | None

    @property
    def differing(self) -> list[dict[str, Any]]:
        return list(self.agreement["differing"][:SHOWN]) if self.agreement else []


@dataclass(frozen=True)
class SustainedView:
    """The sustained runs of one target: the figure in two widths, and its rows."""

    target: str
    rows: list[DeviceRow]
    wide: Markup
    narrow: Markup


def device_rows(candidates: Sequence[Candidate]) -> list[DeviceRow]:
    """A row for every measured file; none at all where no target said more than its latency."""
    rows = [_row(candidate, candidate.result) for candidate in candidates if candidate.result is not None]
    telling = any(row.agreement or row.energy_asked or row.sustained for row in rows)
    return rows if telling else []


def sustained_views(rows: Sequence[DeviceRow]) -> list[SustainedView]:
    """One for every target on which files ran without a pause."""
    views = []
    ran = [row for row in rows if row.sustained is not None]
    for n, target in enumerate(dict.fromkeys(str(row.candidate.target) for row in ran), 1):
        own = [row for row in ran if row.candidate.target == target]
        lines = [(f"{row.candidate.number}: {row.candidate.title}", _seconds(row.candidate)) for row in own]
        wide, narrow = (
            latency_over_time(lines, name=f"sustained-{n}-{kind}", width=width, height=300)
            for kind, width in (("wide", 560), ("narrow", 350))
        )
        views.append(SustainedView(target, own, wide, narrow))
    return views


def device_document(candidate: Candidate) -> dict[str, Any]:
    """The same for ``report.json``."""
    if candidate.result is None:
        return {"agreement_with_host": None, "energy": None, "sustained": None}
    row = _row(candidate, candidate.result)
    return {
        "agreement_with_host": row.agreement,
        "energy": row.energy and row.energy.document(),
        "sustained": row.sustained and row.sustained.document(),
    }


def _row(candidate: Candidate, result: BenchResult) -> DeviceRow:
    document = result.document
    return DeviceRow(
        candidate,
        (document["accuracy"] or {}).get("agreement_with_host"),
        candidate.energy,
        bool(document.get("energy")),
        tuple(_conditions(document["environment"], result)),
        sustained_load(document.get("sustained"), SLICES),
    )


def _conditions(stored: dict[str, Any], result: BenchResult) -> list[str]:
    """In a few words each: governor, temperature, the firmware's flags, and why a measurement is unstable."""
    before, after = stored["before"], stored["after"]
    found = [f"governor {before['governor']}"] if before.get("governor") else []
    heat = [state.get("temperature_c") for state in (before, after)]
    if any(value is not None for value in heat):
        found.append(f"{number(heat[0], 0)} to {number(heat[1], 0)} °C")
    if before.get("throttled") is not None and not any(latency.unstable for latency in result.latency):
        found.append("not throttled")
    reasons = dict.fromkeys(reason for latency in result.latency for reason in latency.unstable)
    return [*found, *(f"unstable: {reason}" for reason in reasons)] or [NONE]


def _seconds(candidate: Candidate) -> list[tuple[float, float]]:
    """Second of the run and p50 in milliseconds then."""
    from statistics import median

    assert candidate.result is not None
    windows = candidate.result.document["sustained"]["windows"]
    return [(float(window["start_s"]), median(window["ns"]) / 1e6) for window in windows]
