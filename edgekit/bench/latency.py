"""Interleaved latency: the jobs for the device program, and the records that its events add up to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from edgekit.bench.accuracy import Predictions
from edgekit.bench.evaluation_images import ImageSet
from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.stability import machine_reasons, thread_reasons
from edgekit.bench.timed_answers import Expected
from edgekit.device.protocol import control_key, model_key, same_key
from edgekit.device.protocol.events import (
    AfterEvent,
    BeforeEvent,
    BlockEvent,
    ImagesEvent,
    LatencyEvent,
    ModelEvent,
    TimedAnswer,
)
from edgekit.device.protocol.jobs import LatencyJob, ModelEntry
from edgekit.device.protocol.verbs import LATENCY
from edgekit.documents.bench import RuntimeRecord
from edgekit.documents.latency import Block, CacheTest, ControlRecord, Latency, MeasuredProcess, ProtocolRecord
from edgekit.documents.machine import MachineEnvironment, Throttling
from edgekit.render.text import plural
from edgekit.support.progress import Progress
from edgekit.targets.base import Target

CONTROLS = 3
"""How many files are measured as if they were two, where there are as many. One A/A ratio says little about noise."""

RESTARTED = "the target restarted during the measurement, which then continued"


@dataclass(frozen=True)
class LatencyPlan:
    """What to measure with one thread setting. ``images``: the image set of each file that has one, by its id."""

    models: Sequence[MeasuredModel]
    images: Mapping[str, ImageSet]
    protocol: ProtocolRecord
    threads: int
    seed: int
    n_controls: int = CONTROLS
    """How many files are measured twice, at most."""

    @property
    def controls(self) -> list[str]:
        """The files that are measured twice: from the smallest to the largest, evenly spaced."""
        ids = [model.id for model in sorted(self.models, key=lambda model: (model.size_bytes, model.id))]
        count = min(self.n_controls, len(ids))
        return [ids[place * (len(ids) - 1) // max(1, count - 1)] for place in range(count)]

    @property
    def same_input(self) -> list[str]:
        """The files that are measured on one image again and again, too."""
        return self.controls[:1] if self.protocol.cache_test else []

    def jobs(self) -> Iterator[LatencyJob]:
        """One for each process."""
        for repeat in range(self.protocol.repeats):
            job = LatencyJob(
                models=[self._entry(model, repeat) for model in self.models],
                threads=self.threads,
                controls=self.controls,
                protocol=self.protocol.blocks(),
                seed=self.seed + repeat,
            )
            if self.same_input:
                job["same_input"] = self.same_input
            if self.protocol.pin:
                job["pin"] = True
            yield job

    def _entry(self, model: MeasuredModel, repeat: int) -> ModelEntry:
        images = self.images.get(model.id)
        return model.job([images.root / file for file in self.drawn(model.id, repeat)] if images is not None else ())

    def drawn(self, model: str, repeat: int) -> tuple[str, ...]:
        """The images that a process measures a file on, in order: drawn with replacement; none where it has none.

        Files with the same images get the same ones in every round.
        """
        images = self.images.get(model)
        if images is None:
            return ()
        count = self.protocol.rounds * self.protocol.images_per_round
        return images.drawn(count, self.seed, repeat)

    @property
    def steps(self) -> int:
        """Warm-ups and blocks, for a progress bar."""
        subjects = len(self.models) + len(self.controls) + len(self.same_input)
        return self.protocol.repeats * subjects * (self.protocol.rounds + 1)


class MeasuredLatency:
    """The latency of all files with one thread setting, as its events arrive."""

    def __init__(self, plan: LatencyPlan) -> None:
        self.plan = plan
        self.failed: dict[str, str] = {}
        """Why the output of a file was not finite, by its id."""
        self._processes: list[_Process] = []
        self._sitting = self._repeat = 0
        self._reasons: dict[str, None] = {}

    def measure(self, target: Target, progress: Progress, title: str | None = None) -> Iterator[None]:
        """Measure, one process after another; yields after each."""
        with progress.bar(title or f"latency, {plural(self.plan.threads, 'thread')}", self.plan.steps) as bar:
            for repeat, job in enumerate(self.plan.jobs()):
                self._repeat = repeat
                for event in target.run(LATENCY, job):
                    self.add(event)
                    if event["event"] in {"model", "block"}:
                        bar.advance()
                yield

    def add(self, event: LatencyEvent) -> None:
        """One event of the device program."""
        if event["event"] == "sitting":
            self._sitting = event["number"]
        elif event["event"] == "restarted":
            self._reasons[RESTARTED] = None
        elif event["event"] == "environment":
            if event["when"] == "before":
                number = len(self._processes)
                self._processes.append(
                    _Process(number, self._sitting, self._repeat, _environment(event), event["pinned"])
                )
            else:
                self._processes[-1].after = _environment(event)
        elif event["event"] == "failed":
            self.failed[model_key(event["key"])] = event["reason"]
        elif event["event"] == "state":
            flags = event["throttled"]
            self._processes[-1].throttling.append(None if flags is None else Throttling.model_validate(flags))
        elif event["event"] != "opening":
            self._processes[-1].files.setdefault(event["key"], _File()).add(event)
            if event["event"] == "block":
                self._processes[-1].frequencies.append(event["frequency_khz"])

    @property
    def missing(self) -> str | None:
        """What is missing, in words; None if everything was measured."""
        done = sum(process.after is not None for process in self._processes)
        if done >= self.plan.protocol.repeats:
            return None
        started = sum(process.has_blocks for process in self._processes)
        partly = " and parts of another" if started > done else ""
        threads = plural(self.plan.threads, "thread")
        return f"latency with {threads}: {done} of {self.plan.protocol.repeats} processes{partly} measured"

    @property
    def before(self) -> MachineEnvironment | None:
        """The machine before the first block; None if nothing was measured."""
        return self._processes[0].before if self._processes else None

    @property
    def after(self) -> MachineEnvironment | None:
        """The machine after the last block; None if no process ended."""
        return next((process.after for process in reversed(self._processes) if process.after is not None), None)

    @property
    def runtimes(self) -> dict[str, RuntimeRecord]:
        """The runtime of each file, by its id."""
        files = {key: file for process in self._processes for key, file in process.files.items()}
        return {key: file.runtime for key, file in files.items() if file.runtime is not None}

    def check_answers(self, model: str, predictions: Predictions | None) -> None:
        """Compare the answers of timed runs with the stored predictions, which may arrive after the runs.

        A block with a wrong answer does not count.
        """
        images = self.plan.images.get(model)
        numbers = {} if images is None else {file: number for number, file in enumerate(images.files)}
        expected = Expected(predictions, numbers)
        for process in self._processes:
            drawn = self.plan.drawn(model, process.repeat)
            for key in (model, control_key(model), same_key(model)):
                if key in process.files:
                    process.files[key].check(expected, drawn)

    def latency(self, model: str, *, threads_must_help: bool = True) -> Latency | None:
        """The record of one file; None if its output was not finite, or no block counts.

        ``threads_must_help``: a measurement in which more than one thread had no effect is unstable.
        """
        processes = self._of(model)
        if model in self.failed or not any(process.valid_blocks for process in processes):
            return None
        files = [process.files[model] for process in self._processes if model in process.files]
        threads = next(file.start.threads for file in files if file.start is not None)
        parallelism = _parallelism(files, threads)
        used = {name for process in self._processes for name in self.plan.drawn(model, process.repeat)}
        pinned = {process.cores_of(model) for process in self._processes if process.has_blocks}
        reasons = dict.fromkeys(reason for process in self._processes for reason in process.reasons())
        return Latency(
            threads=threads,
            threads_effective=parallelism,
            processes=processes,
            preprocess_ns=tuple(ns for file in files for ns in file.preprocess_ns),
            postprocess_ns=tuple(ns for file in files for ns in file.postprocess_ns),
            unstable=(
                *{**self._reasons, **reasons},
                *(thread_reasons(threads, parallelism) if threads_must_help else ()),
            ),
            n_images=len(used),
            pinned=pinned.pop() or None if len(pinned) == 1 else None,
        )

    def was_pinned(self, key: str) -> bool:
        """Whether each process could keep the file ``key`` to its cores."""
        files = [process.files[key] for process in self._processes if key in process.files]
        return bool(files) and all(file.start is not None and file.start.pinned for file in files)

    def n_differing(self, one: str, other: str) -> int:
        """How many timed runs of the file ``one`` gave another class than those of ``other`` for the same input."""
        differing = 0
        for process in self._processes:
            if one in process.files and other in process.files:
                known = {answer["image"]: answer["predicted"] for answer in process.files[other].all_answers}
                mine = process.files[one].all_answers
                differing += sum(a["predicted"] != known.get(a["image"], a["predicted"]) for a in mine)
        return differing

    def all_invalid(self, model: str) -> bool:
        """Whether blocks were measured of which none counts."""
        processes = self._of(model)
        return bool(processes) and not any(process.valid_blocks for process in processes)

    def controls(self) -> list[ControlRecord]:
        """The files that were measured twice."""
        found = []
        for model in self.plan.controls:
            first, second = self._of(model), self._of(control_key(model))
            if model not in self.failed and first and second:
                found.append(ControlRecord(model=model, threads=self.plan.threads, first=first, second=second))
        return found

    def cache_tests(self) -> list[CacheTest]:
        """The files that were measured on one image again and again, too."""
        found = []
        for model in self.plan.same_input:
            varied, same = self._of(model), self._of(same_key(model))
            if model not in self.failed and varied and same:
                found.append(CacheTest(model=model, threads=self.plan.threads, varied=varied, same=same))
        return found

    def _of(self, key: str) -> tuple[MeasuredProcess, ...]:
        records = [process.record(key) for process in self._processes]
        return tuple(record for record in records if record is not None)


@dataclass(frozen=True)
class _Start:
    threads: int
    pinned: tuple[int, ...] | None
    load_ns: int
    first_ns: int
    warmup_ns: tuple[int, ...]


@dataclass
class _File:
    """What one process reported about one file."""

    runtime: RuntimeRecord | None = None
    start: _Start | None = None
    blocks: list[Block] = field(default_factory=list)
    answers: list[list[TimedAnswer]] = field(default_factory=list)
    """Of each block."""
    wall_ns: int = 0
    cpu_ns: int = 0
    preprocess_ns: list[int] = field(default_factory=list)
    postprocess_ns: list[int] = field(default_factory=list)

    def add(self, event: ModelEvent | ImagesEvent | BlockEvent) -> None:
        if event["event"] == "model":
            self.runtime = RuntimeRecord.model_validate(event["runtime"])
            pinned = event["pinned"] and tuple(event["pinned"])
            warmup_ns = tuple(event["warmup_ns"])
            self.start = _Start(event["threads"], pinned or None, event["load_ns"], event["first_ns"], warmup_ns)
        elif event["event"] == "block":
            answers = event["answers"]
            self.blocks.append(Block(round=event["round"], ns=tuple(event["ns"]), n_answers=len(answers)))
            self.answers.append(answers)
            self.wall_ns += event["wall_ns"]
            self.cpu_ns += event["cpu_ns"]
        else:
            self.preprocess_ns += event["preprocess_ns"]
            self.postprocess_ns += event["postprocess_ns"]

    @property
    def all_answers(self) -> list[TimedAnswer]:
        return [answer for answers in self.answers for answer in answers]

    def check(self, expected: Expected, drawn: Sequence[str]) -> None:
        """Count the wrong answers of each block."""
        self.blocks = [
            block.model_copy(update={"n_wrong": expected.n_wrong(answers, drawn)})
            for block, answers in zip(self.blocks, self.answers)
        ]


@dataclass
class _Process:
    """One process. ``after`` is None if it was interrupted."""

    number: int
    sitting: int
    repeat: int
    before: MachineEnvironment
    pinned: list[int] | None
    after: MachineEnvironment | None = None
    files: dict[str, _File] = field(default_factory=dict)
    frequencies: list[int | None] = field(default_factory=list)
    throttling: list[Throttling | None] = field(default_factory=list)

    @property
    def has_blocks(self) -> bool:
        return any(file.blocks for file in self.files.values())

    def cores_of(self, key: str) -> tuple[int, ...]:
        """The cores that it kept the file ``key`` to, or all files; empty if it pinned neither."""
        start = self.files[key].start if key in self.files else None
        return (start.pinned if start is not None else None) or tuple(self.pinned or ())

    def record(self, key: str) -> MeasuredProcess | None:
        file = self.files.get(key)
        if file is None or file.start is None or not file.blocks:
            return None
        return MeasuredProcess(
            number=self.number,
            sitting=self.sitting,
            load_ns=file.start.load_ns,
            first_ns=file.start.first_ns,
            warmup_ns=file.start.warmup_ns,
            blocks=tuple(file.blocks),
        )

    def reasons(self) -> list[str]:
        """Why the machine was not quiet meanwhile. An interrupted process does not say how busy others were."""
        if not self.has_blocks:
            return []
        last = next((flags for flags in reversed(self.throttling) if flags is not None), self.before.throttled)
        after = self.after or MachineEnvironment(throttled=last)
        return machine_reasons(self.before, after, self.frequencies, self.throttling)


def _environment(event: BeforeEvent | AfterEvent) -> MachineEnvironment:
    return MachineEnvironment.model_validate({k: v for k, v in event.items() if k not in {"event", "when", "pinned"}})


def _parallelism(files: Sequence[_File], threads: int) -> float:
    """How many cores were busy during the runs. Between them, one sets the inputs and reads the answers."""
    runs_ns = sum(ns for file in files for block in file.blocks for ns in block.ns)
    between_ns = sum(file.wall_ns for file in files) - runs_ns
    busy_ns = sum(file.cpu_ns for file in files) - between_ns
    return min(float(threads), max(0.0, busy_ns / runs_ns))
