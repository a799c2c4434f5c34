"""The measurements of a session: jobs for the device program, and what its lines add up to."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.bench.evaluation_images import ImageSet
from edgekit.bench.models import Candidate
from edgekit.bench.protocols import BenchProtocol
from edgekit.bench.stability import machine_reasons, thread_reasons
from edgekit.errors import EdgekitError
from edgekit.support.progress import Progress
from edgekit.targets.base import Event, Target

DECODED_IMAGES = 16
"""Images on which decoding and resizing are timed."""

AGAIN = "#again"
"""The device program's name for the second copy of the control."""


@dataclass(frozen=True)
class LatencySession:
    """One thread setting, all candidates interleaved. ``entries`` by candidate id, as stored in ``latency``."""

    entries: dict[str, dict[str, Any]]
    runtimes: dict[str, dict[str, Any]]
    control: dict[str, Any] | None
    before: dict[str, Any]
    after: dict[str, Any]
    failed: dict[str, str]


def measure_latency(
    target: Target,
    candidates: Sequence[Candidate],
    sets: dict[str, ImageSet],
    protocol: BenchProtocol,
    threads: int,
    seed: int,
    progress: Progress,
) -> LatencySession:
    """Interleaved latency of ``candidates`` with ``threads`` threads.

    The smallest file is measured twice, as the A/A control.
    """
    control = min(candidates, key=lambda c: c.size_bytes).id
    # A protocol of a few runs is for slow or emulated machines, where one image costs as much as all its runs.
    decoded = min(DECODED_IMAGES, protocol.repeats * protocol.rounds * protocol.block_runs)
    job = {
        "models": [c.job(sets[c.id].first_paths(decoded) if c.id in sets else ()) for c in candidates],
        "threads": threads,
        "control": control,
        "protocol": protocol.document(),
    }
    lines = _LatencyLines()
    name = f"{threads} thread{'s' * (threads > 1)}"
    with progress.bar(f"latency, {name}", protocol.repeats * (len(candidates) + 1) * (protocol.rounds + 1)) as bar:
        for repeat in range(protocol.repeats):
            for event in target.run("latency", {**job, "seed": seed + repeat}):
                lines.add(event)
                if event["event"] in {"model", "block"}:
                    bar.advance()
            lines.end_repeat()
    return lines.session(control)


@dataclass
class _Subject:
    """What the lines about one model said, over all repeats."""

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
            self._reasons["the target was restarted while measuring, and the rest measured afterwards"] = None
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


def measure_memory(
    target: Target, candidates: Sequence[Candidate], threads: int, progress: Progress
) -> dict[str, dict[str, Any]]:
    """Memory of each candidate, by its id, each in a process of its own."""
    memory: dict[str, dict[str, Any]] = {}
    names = ("threads", "baseline_rss_bytes", "peak_rss_bytes", "model_rss_bytes", "peak_was_reset")
    with progress.bar("memory", len(candidates)) as bar:
        for candidate in candidates:
            for event in target.run("memory", {"models": [candidate.job()], "threads": threads}):
                if event["event"] == "memory":
                    memory[candidate.id] = {name: event[name] for name in names}
            bar.advance()
    return memory


@dataclass(frozen=True)
class Predictions:
    """Answers of one file: ``probabilities`` float32 (N, classes) in the order of its image set."""

    probabilities: NDArray[np.float32]
    activation: str
    decoder: str


def measure_accuracy(
    target: Target, candidates: Sequence[Candidate], sets: dict[str, ImageSet], progress: Progress
) -> tuple[dict[str, Predictions], dict[str, str]]:
    """Predictions by candidate id, and the reason of each candidate whose output was not finite."""
    done: dict[str, Predictions] = {}
    failed: dict[str, str] = {}
    groups: dict[Any, list[Candidate]] = {}
    for candidate in candidates:
        if candidate.id in sets:
            groups.setdefault(sets[candidate.id].key, []).append(candidate)
    total = sum(len(sets[group[0].id].files) * len(group) for group in groups.values())
    if not total:
        return done, failed
    with progress.bar("accuracy", total) as bar:
        for group in groups.values():
            images = sets[group[0].id]
            job = {"models": [c.job() for c in group], "threads": 0, "root": str(images.root), "files": images.files}
            chunks: dict[str, list[Event]] = {}
            decoder = ""
            for event in target.run("accuracy", job):
                if event["event"] == "predictions":
                    chunks.setdefault(event["key"], []).append(event)
                    bar.advance(event["count"])
                elif event["event"] == "failed":
                    failed[event["key"]] = event["reason"]
                elif event["event"] == "decoder":
                    decoder = event["name"]
            for key, events in chunks.items():
                if key not in failed:
                    done[key] = _predictions(events, decoder, len(images.files))
    return done, failed


def _predictions(events: list[Event], decoder: str, expected: int) -> Predictions:
    parts = [
        np.frombuffer(base64.b64decode(e["probabilities_b64"]), "<f4").reshape(e["count"], e["classes"]) for e in events
    ]
    probabilities = np.concatenate(parts).astype(np.float32)
    if len(probabilities) != expected:
        raise EdgekitError(f"the target answered for {len(probabilities)} of {expected} images")
    return Predictions(probabilities, events[0]["activation"], decoder)
