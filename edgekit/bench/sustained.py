"""Sustained runs: each model runs continuously, and its latency is recorded over time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from edgekit.bench.evaluation_images import ImageSet
from edgekit.bench.measured_model import MeasuredModel
from edgekit.errors import InputError
from edgekit.render.numbers import count
from edgekit.support.progress import Progress
from edgekit.targets.base import Target

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """``10m``, ``90s``, ``1h`` in seconds; :class:`InputError` otherwise."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if found is None or float(found.group(1)) == 0:
        raise InputError(f"{text!r} is not a duration", hint="write a number and a unit, such as 10m, 90s or 1h")
    return float(found.group(1)) * UNITS[found.group(2)]


def measure_sustained(
    target: Target,
    models: Sequence[MeasuredModel],
    sets: dict[str, ImageSet],
    seconds: float,
    threads: int,
    progress: Progress,
) -> dict[str, dict[str, Any]]:
    """By model id: every run of ``seconds`` without a pause, in windows of a second, with the state of the target."""
    found: dict[str, dict[str, Any]] = {}
    job = {
        "models": [model.job(sets[model.id].first_paths(1) if model.id in sets else ()) for model in models],
        "threads": threads,
        "seconds": seconds,
    }
    names = ("start_s", "ns", "frequency_khz", "temperature_c", "throttled")
    with progress.bar(f"sustained run, {count(threads, 'thread')}", int(seconds) * len(models)) as bar:
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
