"""What bench says besides latency: agreement with this machine, energy, sustained load."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from statistics import median
from typing import Any

from edgekit.cli.output import table
from edgekit.results import BenchResult

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
            f"scores within {found['max_difference']:.2g}"
        )
        lines += [f"    {d['file']}: {d['here']} here, {d['there']} there" for d in found["differing"][:SHOWN]]
        if len(found["differing"]) > SHOWN:
            lines.append(f"    and {len(found['differing']) - SHOWN} more (in the result file)")
    return "\n".join(["same answer as on this machine, for the same file", *lines]) if lines else ""


def energy_text(results: Sequence[BenchResult], names: dict[str, str]) -> str:
    """Energy of one inference, or that it was not measured."""
    stored = {result.id: result.document.get("energy") for result in results}
    measured = {key: energy for key, energy in stored.items() if energy and energy["source"]}
    if not measured:
        return "energy: not measured (this machine does not tell its power)" if any(stored.values()) else ""
    rows = []
    for key, energy in measured.items():
        power, idle = energy["joules"] / energy["wall_s"], energy["idle_joules"] / energy["idle_s"]
        above = 1000 * (power - idle) * energy["wall_s"] / energy["runs"]
        rows.append([names[key], f"{1000 * energy['joules'] / energy['runs']:.3g}", f"{above:.3g}", f"{idle:.3g}"])
    source = next(iter(measured.values()))["source"]
    text = table(["energy", "mJ a run", "above idle", "idle W"], rows, right=(1, 2, 3))
    return f"{text}\nas {source} tells: what it covers is not the whole board"


def sustained_text(results: Sequence[BenchResult], names: dict[str, str]) -> str:
    """Latency over the time of a sustained run, with clock and temperature."""
    parts = []
    for result in results:
        stored = result.document.get("sustained")
        if not stored or not stored["windows"]:
            continue
        windows = stored["windows"]
        size = max(1, -(-len(windows) // SLICES))
        slices = [windows[start : start + size] for start in range(0, len(windows), size)]
        rows = [_slice(part) for part in slices]
        first, last = (median(n for w in part for n in w["ns"]) for part in (slices[0], slices[-1]))
        flags = dict.fromkeys(f for w in windows if w["throttled"] for f in w["throttled"]["now"])
        said = f"; the firmware reported: {', '.join(flags)}" if flags else ""
        parts.append(
            f"{names[result.id]}, {stored['threads']} threads, {stored['seconds']:.0f} s without a pause\n"
            + table(["from s", "p50 ms", "MHz", "deg C"], rows, right=(0, 1, 2, 3))
            + f"\nat the end {last / first:.2f} times the latency of the beginning{said}"
        )
    return "\n\n".join(parts)


def _slice(windows: Sequence[dict[str, Any]]) -> list[str]:
    clock = [w["frequency_khz"] for w in windows if w["frequency_khz"]]
    heat = [w["temperature_c"] for w in windows if w["temperature_c"] is not None]
    return [
        f"{windows[0]['start_s']:.0f}",
        f"{median(n for w in windows for n in w['ns']) / 1e6:.3g}",
        f"{median(clock) / 1000:.0f}" if clock else "-",
        f"{median(heat):.0f}" if heat else "-",
    ]


def conditions_text(results: Sequence[BenchResult]) -> str:
    """Said once where it matters: an emulator's times are nobody's."""
    if not any(result.document["emulated"] for result in results):
        return ""
    text = "emulated: the times above are the emulator's and say nothing about the device; the answers are real"
    return textwrap.fill(text, 80, subsequent_indent="  ")
