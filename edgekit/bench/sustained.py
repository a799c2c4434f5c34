"""Sustained runs: each model runs continuously, and its latency is recorded over time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgekit.bench.evaluation_images import ImageSet, varied_entries
from edgekit.bench.measured_model import MeasuredModel
from edgekit.device.protocol.events import SustainedEndEvent, SustainedStartEvent, WindowEvent
from edgekit.device.protocol.jobs import TimedJob
from edgekit.device.protocol.verbs import SUSTAINED
from edgekit.documents.bench import SustainedRecord, SustainedWindow
from edgekit.documents.machine import MachineState
from edgekit.errors import InputError
from edgekit.render.text import plural
from edgekit.support.progress import Progress
from edgekit.targets.base import Target

LONGEST_S = 7 * 24 * 3600.0

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """``10m``, ``90s``, ``1h`` in seconds; :class:`InputError` otherwise."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    seconds = 0.0 if found is None else float(found.group(1)) * UNITS[found.group(2)]
    if not 0 < seconds <= LONGEST_S:
        raise InputError(
            f"{text!r} is not a duration of up to a week", hint="write a number and a unit, such as 10m, 90s or 1h"
        )
    return seconds


def measure_sustained(
    target: Target,
    models: Sequence[MeasuredModel],
    sets: Mapping[str, ImageSet],
    seconds: float,
    threads: int,
    progress: Progress,
) -> dict[str, SustainedRecord]:
    """By model id: the time of every run during ``seconds`` without a pause, in windows of about a second."""
    found: dict[str, _Run] = {}
    job = TimedJob(
        models=varied_entries(models, sets),
        threads=threads,
        seconds=seconds,
    )
    with progress.bar(f"sustained run, {plural(threads, 'thread')}", int(seconds) * len(models)) as bar:
        for event in target.run(SUSTAINED, job):
            if event["event"] == "sustained_start":
                found[event["key"]] = _Run(event["cooldown_s"], _state(event))
            elif event["event"] == "window":
                found[event["key"]].windows.append(_window(event))
                bar.advance()
            elif event["event"] == "sustained_end":
                found[event["key"]].after = _state(event)
    return {key: run.record(seconds, threads) for key, run in found.items()}


@dataclass
class _Run:
    """The sustained run of one model as its events arrive."""

    cooldown_s: float
    before: MachineState
    windows: list[SustainedWindow] = field(default_factory=list)
    after: MachineState | None = None

    def record(self, seconds: float, threads: int) -> SustainedRecord:
        return SustainedRecord(
            seconds=seconds,
            threads=threads,
            cooldown_s=self.cooldown_s,
            before=self.before,
            windows=tuple(self.windows),
            after=self.after,
        )


def _window(event: WindowEvent) -> SustainedWindow:
    return SustainedWindow.model_validate({k: v for k, v in event.items() if k in SustainedWindow.model_fields})


def _state(event: SustainedStartEvent | SustainedEndEvent) -> MachineState:
    return MachineState.model_validate({k: v for k, v in event.items() if k in MachineState.model_fields})
