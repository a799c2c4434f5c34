"""What bench says besides latency: agreement with this machine, energy, sustained load."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from edgekit.cli.output import table
from edgekit.documents.bench import BenchResult
from edgekit.stats.energy import energy_of_a_run, sustained_load

SHOWN = 5
SLICES = 8


def agreement_text(results: Sequence[BenchResult], names: dict[str, str]) -> str:
    """How many images have the same top class as on this machine, and the first of those that have not."""
    lines = []
    for result in results:
        found = (result.document["accuracy"] or {}).get("agreement_with_host")
        if found is None:
            continue
        lines.append(
            f"  {names[result.id]}: {found['n_same']} of {found['n_images']} images, "
            + (f"scores within {found['max_difference']:.2g}" if found["max_difference"] else "equal scores")
        )
        lines += [f"    {d['file']}: {d['here']} here, {d['there']} there" for d in found["differing"][:SHOWN]]
        if len(found["differing"]) > SHOWN:
            lines.append(f"    and {len(found['differing']) - SHOWN} more (in the result file)")
    return "\n".join(["same answer as on this machine, for the same file", *lines]) if lines else ""


def energy_text(results: Sequence[BenchResult], names: dict[str, str]) -> str:
    """Energy of one inference, or that it was not measured."""
    stored = {result.id: result.document.get("energy") for result in results}
    measured = {key: energy for key, one in stored.items() if (energy := energy_of_a_run(one)) is not None}
    if not measured:
        return "energy: not measured (this machine does not tell its power)" if any(stored.values()) else ""
    rows = [
        [
            names[key],
            f"{1000 * energy.joules:.3g}",
            f"{1000 * energy.joules_above_idle:.3g}",
            f"{energy.idle_watts:.3g}",
        ]
        for key, energy in measured.items()
    ]
    source = next(iter(measured.values())).source
    text = table(["energy", "mJ a run", "above idle", "idle W"], rows, right=(1, 2, 3))
    return f"{text}\nas {source} tells: what it covers is not the whole board"


def sustained_text(results: Sequence[BenchResult], names: dict[str, str]) -> str:
    """Latency over the time of a sustained run, with clock and temperature."""
    parts = []
    for result in results:
        load = sustained_load(result.document.get("sustained"), SLICES)
        if load is None:
            continue
        rows = [
            [
                f"{part.start_s:.0f}",
                f"{part.latency_ms_p50:.3g}",
                "-" if part.frequency_mhz is None else f"{part.frequency_mhz:.0f}",
                "-" if part.temperature_c is None else f"{part.temperature_c:.0f}",
            ]
            for part in load.slices
        ]
        said = f"; the firmware reported: {', '.join(load.firmware)}" if load.firmware else ""
        threads = f"{load.threads} thread{'s' * (load.threads > 1)}"
        parts.append(
            f"{names[result.id]}, {threads}, {load.seconds:.0f} s without a pause\n"
            + table(["from s", "p50 ms", "MHz", "deg C"], rows, right=(0, 1, 2, 3))
            + f"\nat the end {load.ratio:.2f} times the latency of the beginning{said}"
        )
    return "\n\n".join(parts)


def conditions_text(results: Sequence[BenchResult]) -> str:
    """Said once where it matters: an emulator's times are nobody's."""
    if not any(result.document["emulated"] for result in results):
        return ""
    text = "emulated: the times above are the emulator's and say nothing about the device; the answers are real"
    return textwrap.fill(text, 80, subsequent_indent="  ")
