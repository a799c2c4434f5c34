"""Interleaved latency: the jobs for the device program, and the records that its events add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgekit.bench.evaluation_images import ImageSet
from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.protocols import BenchProtocol
from edgekit.bench.stability import machine_reasons, thread_reasons
from edgekit.device.protocol import control_key, model_key
from edgekit.device.protocol.events import AfterEvent, BeforeEvent, BlockEvent, ImagesEvent, LatencyEvent, ModelEvent
from edgekit.device.protocol.jobs import LatencyJob
from edgekit.device.protocol.verbs import LATENCY
from edgekit.documents.bench import ControlRecord, Latency, ModelStart, RuntimeRecord
from edgekit.documents.machine import MachineEnvironment, Throttling
from edgekit.render.text import plural
from edgekit.support.progress import Progress
from edgekit.targets.base import Target

DECODED_IMAGES = 16
"""Images on which decoding and resizing are timed."""

RESTARTED = "the target restarted during the measurement, which then continued"


@dataclass(frozen=True)
class LatencySession:
    """One thread setting, all models interleaved; ``latency``, ``runtimes`` and ``failed`` are by model id."""

    latency: Mapping[str, Latency]
    runtimes: Mapping[str, RuntimeRecord]
    control: ControlRecord | None
    before: MachineEnvironment
    after: MachineEnvironment
    failed: Mapping[str, str]


def measure_latency(
    target: Target,
    models: Sequence[MeasuredModel],
    sets: Mapping[str, ImageSet],
    protocol: BenchProtocol,
    threads: int,
    seed: int,
    progress: Progress,
) -> LatencySession:
    """Interleaved latency of ``models`` with ``threads`` threads. The smallest model is the A/A control."""
    control = min(models, key=lambda model: model.size_bytes).id
    # A protocol of a few runs is for slow or emulated machines, where one image costs as much as all its runs.
    decoded = min(DECODED_IMAGES, protocol.total_runs)
    entries = [m.job(sets[m.id].first_paths(decoded) if m.id in sets else ()) for m in models]
    events = _LatencyEvents()
    steps = protocol.repeats * (len(models) + 1) * (protocol.rounds + 1)
    with progress.bar(f"latency, {plural(threads, 'thread')}", steps) as bar:
        for repeat in range(protocol.repeats):
            job = LatencyJob(
                models=entries, threads=threads, control=control, protocol=protocol.blocks(), seed=seed + repeat
            )
            for event in target.run(LATENCY, job):
                events.add(event)
                if event["event"] in {"model", "block"}:
                    bar.advance()
            events.end_repeat()
    return events.session(control)


@dataclass
class _Subject:
    """What the device program reported about one model, over all repeats."""

    runtime: RuntimeRecord | None = None
    starts: list[ModelStart] = field(default_factory=list)
    rounds: list[tuple[int, ...]] = field(default_factory=list)
    wall_ns: int = 0
    cpu_ns: int = 0
    preprocess_ns: list[int] = field(default_factory=list)
    postprocess_ns: list[int] = field(default_factory=list)

    def add(self, event: ModelEvent | ImagesEvent | BlockEvent) -> None:
        if event["event"] == "model":
            self.runtime = RuntimeRecord.model_validate(event["runtime"])
            self.starts.append(
                ModelStart(
                    threads=event["threads"],
                    load_ns=event["load_ns"],
                    first_ns=event["first_ns"],
                    warmup_ns=tuple(event["warmup_ns"]),
                )
            )
        elif event["event"] == "block":
            self.rounds.append(tuple(event["ns"]))
            self.wall_ns += event["wall_ns"]
            self.cpu_ns += event["cpu_ns"]
        elif event["event"] == "images":
            self.preprocess_ns += event["preprocess_ns"]
            self.postprocess_ns += event["postprocess_ns"]

    def latency(self, reasons: Sequence[str]) -> Latency:
        """The record of one thread setting; ``reasons`` why the whole session is unstable."""
        first, *later = self.starts
        parallelism = self.cpu_ns / self.wall_ns
        return Latency(
            threads=first.threads,
            load_ns=first.load_ns,
            first_ns=first.first_ns,
            warmup_ns=first.warmup_ns,
            threads_effective=parallelism,
            later_starts=tuple(later),
            rounds=tuple(self.rounds),
            preprocess_ns=tuple(self.preprocess_ns),
            postprocess_ns=tuple(self.postprocess_ns),
            unstable=(*reasons, *thread_reasons(first.threads, parallelism)),
        )


class _LatencyEvents:
    """Collects the events of the device program over all repeats."""

    def __init__(self) -> None:
        self._subjects: dict[str, _Subject] = {}
        self._environments: list[MachineEnvironment] = []
        self._frequencies: list[int | None] = []
        self._throttling: list[Throttling | None] = []
        self._repeat = 0
        self._reasons: dict[str, None] = {}
        self._failed: dict[str, str] = {}

    def add(self, event: LatencyEvent) -> None:
        if event["event"] == "environment":
            self._environments.append(_environment(event))
        elif event["event"] == "state":
            flags = event["throttled"]
            self._throttling.append(None if flags is None else Throttling.model_validate(flags))
        elif event["event"] == "restarted":
            self._reasons[RESTARTED] = None
        elif event["event"] == "failed":
            self._failed[model_key(event["key"])] = event["reason"]
        elif event["event"] != "opening":
            self._subjects.setdefault(event["key"], _Subject()).add(event)
            if event["event"] == "block":
                self._frequencies.append(event["frequency_khz"])

    def end_repeat(self) -> None:
        """One process has ended: judge how quiet the machine was meanwhile."""
        before, after = self._environments[self._repeat], self._environments[-1]
        self._reasons |= dict.fromkeys(machine_reasons(before, after, self._frequencies, self._throttling))
        self._repeat = len(self._environments)
        self._frequencies, self._throttling = [], []

    def session(self, control: str) -> LatencySession:
        """Everything that was measured; ``control`` is the model that was measured twice."""
        good = {k: s for k, s in self._subjects.items() if k not in self._failed and k == model_key(k)}
        again = self._subjects.get(control_key(control))
        return LatencySession(
            latency={key: subject.latency(list(self._reasons)) for key, subject in good.items()},
            runtimes={key: subject.runtime for key, subject in good.items() if subject.runtime is not None},
            control=None if again is None or control not in good else _control(control, good[control], again),
            before=self._environments[0],
            after=self._environments[-1],
            failed=self._failed,
        )


def _control(model: str, one: _Subject, again: _Subject) -> ControlRecord:
    return ControlRecord(
        model=model, threads=one.starts[0].threads, rounds_a=tuple(one.rounds), rounds_b=tuple(again.rounds)
    )


def _environment(event: BeforeEvent | AfterEvent) -> MachineEnvironment:
    return MachineEnvironment.model_validate({k: v for k, v in event.items() if k not in {"event", "when"}})
