"""What a file costs besides time: energy where the machine measures it, and its speed under sustained load."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from edgekit.bench.evaluation_images import ImageSet
from edgekit.bench.models import Candidate
from edgekit.bench.protocols import BenchProtocol
from edgekit.errors import InputError
from edgekit.support.progress import Progress
from edgekit.targets.base import Target

ENERGY_S = 5.0
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """``10m``, ``90s``, ``1h`` in seconds; :class:`InputError` otherwise."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if found is None or float(found.group(1)) == 0:
        raise InputError(f"{text!r} is not a duration", hint="give one such as 10m, 90s or 1h")
    return float(found.group(1)) * UNITS[found.group(2)]


def measure_energy(
    target: Target, candidates: Sequence[Candidate], protocol: BenchProtocol, threads: int
) -> dict[str, dict[str, Any]]:
    """By candidate id: joules, runs and idle power, or ``source`` None where the machine does not measure its power."""
    seconds = min(ENERGY_S, protocol.repeats * protocol.rounds * protocol.block_ns / 1e9)
    job = {"models": [c.job() for c in candidates], "threads": threads, "seconds": seconds}
    return {
        event["key"]: {name: value for name, value in event.items() if name not in ("event", "key")}
        for event in target.run("energy", job)
        if event["event"] == "energy"
    }


def measure_sustained(
    target: Target,
    candidates: Sequence[Candidate],
    sets: dict[str, ImageSet],
    seconds: float,
    threads: int,
    progress: Progress,
) -> dict[str, dict[str, Any]]:
    """By candidate id: every run of ``seconds`` without a pause, in windows of a second, with the machine's state."""
    found: dict[str, dict[str, Any]] = {}
    job = {
        "models": [c.job(sets[c.id].first_paths(1) if c.id in sets else ()) for c in candidates],
        "threads": threads,
        "seconds": seconds,
    }
    names = ("start_s", "ns", "frequency_khz", "temperature_c", "throttled")
    with progress.bar(f"sustained, {threads} thread{'s' * (threads > 1)}", int(seconds) * len(candidates)) as bar:
        for event in target.run("sustained", job):
            if event["event"] == "sustained_start":
                found[event["key"]] = {
                    "seconds": seconds,
                    "threads": threads,
                    "cooldown_s": event["cooldown_s"],
                    "before": _state(event),
                    "windows": [],
                }
            elif event["event"] == "window":
                found[event["key"]]["windows"].append({name: event[name] for name in names})
                bar.advance()
            elif event["event"] == "sustained_end":
                found[event["key"]]["after"] = _state(event)
    return found


def _state(event: dict[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in ("frequency_khz", "temperature_c", "throttled", "governor")}
