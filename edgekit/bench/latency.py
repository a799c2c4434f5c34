"""Interleaved latency: the jobs for the device program, and what its lines add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edgekit.bench.evaluation_images import ImageSet
from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.protocols import BenchProtocol
from edgekit.bench.stability import machine_reasons, thread_reasons
from edgekit.render.numbers import count
from edgekit.support.progress import Progress
from edgekit.targets.base import Event, Target

DECODED_IMAGES = 16
"""Images on which decoding and resizing are timed."""

AGAIN = "#again"
"""The device program's name for the second copy of the control."""


@dataclass(frozen=True)
class LatencySession:
    """One thread setting, all models interleaved. ``entries`` by model id, as stored in ``latency``."""

    entries: dict[str, dict[str, Any]]
    runtimes: dict[str, dict[str, Any]]
    control: dict[str, Any] | None
    before: dict[str, Any]
    after: dict[str, Any]
    failed: dict[str, str]


def measure_latency(
    target: Target,
    models: Sequence[MeasuredModel],
    sets: dict[str, ImageSet],
    protocol: BenchProtocol,
    threads: int,
    seed: int,
    progress: Progress,
) -> LatencySession:
    """Interleaved latency of ``models`` with ``threads`` threads; the smallest is measured twice, as the A/A control.
    """
    control = min(models, key=lambda model: model.size_bytes).id
    # A protocol of a few runs is for slow or emulated machines, where one image costs as much as all its runs.
    decoded = min(DECODED_IMAGES, protocol.repeats * protocol.rounds * protocol.block_runs)
    job = {
        "models": [m.job(sets[m.id].first_paths(decoded) if m.id in sets else ()) for m in models],
        "threads": threads,
        "control": control,
        "protocol": protocol.document(),
    }
    lines = _LatencyLines()
    steps = protocol.repeats * (len(models) + 1) * (protocol.rounds + 1)
    with progress.bar(f"latency, {count(threads, 'thread')}", steps) as bar:
        for repeat in range(protocol.repeats):
            for event in target.run("latency", {**job, "seed": seed + repeat}):
                lines.add(event)
                if event["event"] in {"model", "block"}:
                    bar.advance()
            lines.end_repeat()
    return lines.session(control)


@dataclass
class _Subject:
    """What the device program reported about one model, over all repeats."""

    runtime: dict[str, Any] = field(default_factory=dict)
    starts: list[dict[str, Any]] = field(default_factory=list)
    rounds: list[list[int]] = field(default_factory=list)
    wall_ns: int = 0
    cpu_ns: int = 0
    preprocess_ns: list[int] = field(default_factory=list)
    postprocess_ns: list[int] = field(default_factory=list)

    def add(self, event: Event) -> None:
        if event["event"] == "model":
            self.runtime = event["runtime"]
            self.starts.append({name: event[name] for name in ("threads", "load_ns", "first_ns", "warmup_ns")})
        elif event["event"] == "block":
            self.rounds.append(event["ns"])
            self.wall_ns += event["wall_ns"]
            self.cpu_ns += event["cpu_ns"]
        elif event["event"] == "images":
            self.preprocess_ns += event["preprocess_ns"]
            self.postprocess_ns += event["postprocess_ns"]

    def entry(self, reasons: Sequence[str]) -> dict[str, Any]:
        """The document of one thread setting."""
        first, *later = self.starts
        parallelism = self.cpu_ns / self.wall_ns
        return {
            **first,
            "threads_effective": parallelism,
            "later_starts": later,
            "rounds": self.rounds,
            "preprocess_ns": self.preprocess_ns,
            "postprocess_ns": self.postprocess_ns,
            "unstable": [*reasons, *thread_reasons(first["threads"], parallelism)],
        }


class _LatencyLines:
    """Collects the lines of the device program."""

    def __init__(self) -> None:
        self._subjects: dict[str, _Subject] = {}
        self._environments: list[Event] = []
        self._frequencies: list[int | None] = []
        self._states: list[Event] = []
        self._repeat = 0
        self._reasons: dict[str, None] = {}
        self._failed: dict[str, str] = {}

    def add(self, event: Event) -> None:
        if event["event"] == "environment":
            self._environments.append(event)
        elif event["event"] == "state":
            self._states.append(event)
        elif event["event"] == "restarted":
            self._reasons["the target restarted during the measurement, which then continued"] = None
        elif event["event"] == "failed":
            self._failed[event["key"].removesuffix(AGAIN)] = event["reason"]
        else:
            self._subjects.setdefault(event["key"], _Subject()).add(event)
            self._frequencies.append(event.get("frequency_khz"))

    def end_repeat(self) -> None:
        before, after = self._environments[self._repeat], self._environments[-1]
        self._reasons |= dict.fromkeys(machine_reasons(before, after, self._frequencies, self._states))
        self._repeat = len(self._environments)
        self._frequencies, self._states = [], []

    def session(self, control: str) -> LatencySession:
        good = {k: s for k, s in self._subjects.items() if k not in self._failed and not k.endswith(AGAIN)}
        again = self._subjects.get(control + AGAIN)
        return LatencySession(
            entries={key: subject.entry(list(self._reasons)) for key, subject in good.items()},
            runtimes={key: subject.runtime for key, subject in good.items()},
            control=None if again is None or control not in good else _control(control, good[control], again),
            before=self._environments[0],
            after=self._environments[-1],
            failed=self._failed,
        )


def _control(model: str, one: _Subject, again: _Subject) -> dict[str, Any]:
    return {
        "model": model,
        "threads": one.starts[0]["threads"],
        "rounds_a": one.rounds,
        "rounds_b": again.rounds,
    }
