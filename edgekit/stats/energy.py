"""What a file costs besides latency, from the samples that bench stored: energy of a run, sustained load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Energy:
    """Energy of one inference, of what ``source`` covers (never the whole board)."""

    source: str
    joules: float
    joules_above_idle: float
    """Without what the machine takes doing nothing for as long."""
    idle_watts: float

    def document(self) -> dict[str, Any]:
        return asdict(self)


def energy_of_a_run(stored: Mapping[str, Any] | None) -> Energy | None:
    """From the ``energy`` of a bench document; None where the machine did not measure its power."""
    if not stored or not stored.get("source"):
        return None
    idle_watts = stored["idle_joules"] / stored["idle_s"]
    return Energy(
        str(stored["source"]),
        stored["joules"] / stored["runs"],
        (stored["joules"] - idle_watts * stored["wall_s"]) / stored["runs"],
        idle_watts,
    )


@dataclass(frozen=True)
class Slice:
    """A part of a sustained run: when it began, its p50, and the medians of clock and temperature."""

    start_s: float
    latency_ms_p50: float
    frequency_mhz: float | None
    temperature_c: float | None


@dataclass(frozen=True)
class SustainedLoad:
    """One file run without a pause. ``ratio``: p50 of the last slice over that of the first."""

    threads: int
    seconds: float
    slices: tuple[Slice, ...]
    ratio: float
    firmware: tuple[str, ...] | None
    """What the firmware reported meanwhile: ``throttled``, ``under-voltage``; None where it tells nothing."""

    def document(self) -> dict[str, Any]:
        return asdict(self)


def sustained_load(stored: Mapping[str, Any] | None, slices: int) -> SustainedLoad | None:
    """From the ``sustained`` of a bench document, in at most ``slices`` parts; None where there is none."""
    if not stored or not stored["windows"]:
        return None
    windows = stored["windows"]
    size = max(1, -(-len(windows) // slices))
    parts = tuple(_slice(windows[start : start + size]) for start in range(0, len(windows), size))
    told = [window["throttled"]["now"] for window in windows if window["throttled"]]
    return SustainedLoad(
        int(stored["threads"]),
        float(stored["seconds"]),
        parts,
        parts[-1].latency_ms_p50 / parts[0].latency_ms_p50,
        tuple(dict.fromkeys(flag for flags in told for flag in flags)) if told else None,
    )


def _slice(windows: Sequence[Mapping[str, Any]]) -> Slice:
    clock = [window["frequency_khz"] for window in windows if window["frequency_khz"]]
    heat = [window["temperature_c"] for window in windows if window["temperature_c"] is not None]
    return Slice(
        windows[0]["start_s"],
        median(ns for window in windows for ns in window["ns"]) / 1e6,
        median(clock) / 1000 if clock else None,
        median(heat) if heat else None,
    )
