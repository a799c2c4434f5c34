"""Energy and sustained runs, as bench prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.cli.output import table
from edgekit.documents.bench import BenchResult, SustainedSlice
from edgekit.render.numbers import milliseconds, number, significant
from edgekit.render.text import plural

SLICES = 8


def energy_text(results: Sequence[BenchResult], names: Mapping[str, str]) -> str:
    """Energy of one inference, or that it was not measured."""
    asked = [(result.id, result.bench.energy) for result in results if result.bench.energy is not None]
    measured = [(key, energy) for key, record in asked if (energy := record.per_run()) is not None]
    if not measured:
        return "energy: not measured (the target does not report its power)" if asked else ""
    rows = [
        [
            names[key],
            significant(1000 * energy.joules),
            significant(1000 * energy.joules_above_idle),
            significant(energy.idle_watts),
        ]
        for key, energy in measured
    ]
    text = table(["energy", "mJ per run", "above idle", "idle W"], rows, right=(1, 2, 3))
    return f"{text}\nas reported by {measured[0][1].source}, which does not cover the whole board"


def sustained_text(results: Sequence[BenchResult], names: Mapping[str, str]) -> str:
    """Latency over time in each sustained run, with clock and temperature."""
    parts = []
    for result in results:
        sustained = result.bench.sustained
        summary = None if sustained is None else sustained.summary(SLICES)
        if summary is None:
            continue
        firmware = f"; the firmware reported: {', '.join(summary.firmware)}" if summary.firmware else ""
        setting = f"{plural(summary.threads, 'thread')}, {number(summary.seconds, 0)} s"
        parts.append(
            f"sustained run of {names[result.id]}, {setting}\n"
            + table(["from s", "p50 ms", "MHz", "deg C"], [_row(part) for part in summary.slices], right=(0, 1, 2, 3))
            + f"\nlatency at the end: {number(summary.ratio, 2)} times that at the start{firmware}"
        )
    return "\n\n".join(parts)


def _row(part: SustainedSlice) -> list[str]:
    return [
        number(part.start_s, 0),
        milliseconds(part.latency_ms_p50),
        number(part.frequency_mhz, 0),
        number(part.temperature_c, 0),
    ]
