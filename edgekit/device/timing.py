"""The verb ``latency``: warm-up, then interleaved blocks of all models in random order. Only the invoke is timed."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import TypeVar

import numpy as np

from . import probe
from .block_order import block_order
from .classifier import Classifier
from .failures import DeviceError, ModelError
from .jobs import Job, JobModel
from .pinning import cores_for, kept_to, pin
from .protocol import DECODED_IMAGES, Emit, control_key, same_key
from .protocol.events import BlockTimes, ImagesEvent, LatencyEvent, TimedAnswer
from .protocol.jobs import LatencyJob
from .runtimes import Model
from .varied_inputs import Inputs, Pixels

SLOW_NS = 20_000_000
"""A longer run streams its weights from memory anyway, so what an earlier model left in the caches does not matter."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Protocol:
    """How long to measure. A block ends once it has ``block_runs`` runs and ``block_ns`` of invoke time."""

    warmup_runs: int
    warmup_ns: int
    rounds: int
    block_runs: int
    block_ns: int
    cooldown_ns: int = 0
    period_ns: int = 0
    """Time from the start of one run to that of the next; 0: as fast as possible."""

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Protocol:
        """The protocol of a job. Raises :class:`DeviceError` if it is incomplete; other keys are ignored."""
        try:
            return cls(**{f.name: int(settings[f.name]) for f in fields(cls) if f.name in settings})  # type: ignore[call-overload]
        except (TypeError, ValueError) as error:
            raise DeviceError(f"the protocol of the job is incomplete: {error}") from None


def run_block(
    invoke: Callable[[], object], min_runs: int, min_ns: int, before: Callable[[], object] | None = None
) -> list[int]:
    """Times of single invokes in nanoseconds, until there are ``min_runs`` that add up to ``min_ns``.

    ``before`` is called before each of them and not timed.
    """
    clock = time.perf_counter_ns
    samples: list[int] = []
    append = samples.append
    spent = 0
    while spent < min_ns or len(samples) < min_runs:
        if before is not None:
            before()
        start = clock()
        invoke()
        elapsed = clock() - start
        append(elapsed)
        spent += elapsed
    return samples


def settle(limit_ns: int = 100_000_000) -> None:
    """Wait until no worker thread of this process spins, at most ``limit_ns``.

    Thread pools spin for a while after a run, which would occupy a core during the next model's block.
    """
    end = time.perf_counter_ns() + limit_ns
    while time.perf_counter_ns() < end:
        before = time.process_time_ns()
        time.sleep(0.001)
        if time.process_time_ns() - before < 200_000:
            return


def run_varied(
    model: Model, tensors: Sequence[np.ndarray], answer: Callable[[int], TimedAnswer], protocol: Protocol
) -> BlockRuns:
    """Times of single invokes, each on the next of ``tensors``, from the first again after the last.

    Only the invoke is timed, until there are ``block_runs`` that add up to ``block_ns``. With a rate, runs start at
    regular intervals, and these intervals add up to ``block_ns`` instead. After the runs 0, 1, 2, 4, 8 and so on,
    ``answer`` is called with the position of the tensor and its result kept.
    """
    clock, set_input, invoke = time.perf_counter_ns, model.set_input, model.invoke
    count = len(tensors)
    runs = BlockRuns([], [], 0)
    samples, period = runs.ns, protocol.period_ns
    spent, number, due = 0, 0, clock()
    while spent < protocol.block_ns or number < protocol.block_runs:
        set_input(tensors[number % count])
        if period:
            runs.paused_ns += _wait_until(due)
            due = clock() + period
        start = clock()
        invoke()
        elapsed = clock() - start
        samples.append(elapsed)
        spent += max(elapsed, period)
        if not number & (number - 1):
            runs.answers.append(answer(number % count))
        number += 1
    return runs


@dataclass
class BlockRuns:
    """The times of the runs of a block, some of their answers, and how long it waited between them."""

    ns: list[int]
    answers: list[TimedAnswer]
    paused_ns: int


def _wait_until(due_ns: int) -> int:
    """Sleep until the clock shows ``due_ns``. How long that took."""
    start = time.perf_counter_ns()
    if due_ns > start:
        time.sleep((due_ns - start) / 1e9)
    return time.perf_counter_ns() - start


@dataclass
class Subject:
    """One opened model in the measurement."""

    key: str
    model: Model
    inputs: Inputs
    typical_ns: float
    cores: list[int] | None
    """The cores that it keeps to; None: all."""

    def block(self, protocol: Protocol, round_number: int) -> BlockTimes:
        """Measure one block."""
        with kept_to(self.cores):
            return self._block(protocol, round_number)

    def _block(self, protocol: Protocol, round_number: int) -> BlockTimes:
        numbers = self.inputs.numbers(round_number)
        tensors = self.inputs.tensors(numbers)
        self.model.set_input(tensors[-1])
        if self.model.threads > 1:
            settle()
        if self.typical_ns < SLOW_NS:
            self.model.invoke()  # not timed: brings code and weights back into the caches after another model
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        runs = run_varied(self.model, tensors, lambda place: self.inputs.answer(numbers[place]), protocol)
        wall_ns, cpu_ns = time.perf_counter_ns() - wall - runs.paused_ns, time.process_time_ns() - cpu
        return {
            "ns": runs.ns,
            "wall_ns": wall_ns,
            "cpu_ns": cpu_ns,
            "frequency_khz": probe.frequency_khz(),
            "answers": runs.answers,
        }


def latency(job: Job[LatencyJob], emit: Emit[LatencyEvent]) -> None:
    """The verb: measure each model of the job, and those in ``controls`` a second time under a key of their own.

    Events: ``environment`` before and after, ``model`` (load, first run, warm-up), ``images`` (decoding and reading
    the result), ``block`` per model and round, ``state`` per round, ``failed`` for a model whose output is not finite.
    The order follows from ``seed``, so a job with ``skip`` continues where an interrupted one ended.

    A model's ``images`` are divided among the rounds. ``same_input`` names models that are measured once more on the
    first image alone. With ``pin``, the process keeps to as many cores as it has threads.
    """
    protocol = Protocol.read(job.settings.get("protocol", {}))
    pinned = pin(job.threads) if job.settings.get("pin") else None
    waiting = probe.OthersWatch()
    time.sleep(0.25)
    others = waiting.cores()
    emit({"event": "environment", "when": "before", "others_cores": others, "pinned": pinned, **probe.environment()})
    pixels = Pixels()
    subjects = _subjects(job, protocol, pixels, emit)
    watch = probe.OthersWatch()
    _measure_rounds(subjects, job, protocol, pixels, emit)
    emit({"event": "environment", "when": "after", "others_cores": watch.cores(), **probe.state()})


def _subjects(job: Job[LatencyJob], protocol: Protocol, pixels: Pixels, emit: Emit[LatencyEvent]) -> list[Subject]:
    """The opened and warmed-up models, including the second copies of the controls."""
    decode = not job.settings.get("skip")
    prepared = [_prepare(entry, entry.key, job.threads, protocol, pixels, emit, decode=decode) for entry in job.models]
    subjects = [subject for subject in prepared if subject is not None]
    good = {subject.key for subject in subjects}
    copies = [(key, control_key(key)) for key in job.settings.get("controls", ())]
    copies += [(key, same_key(key)) for key in job.settings.get("same_input", ())]
    for key, own_key in copies:
        if key in good:
            again = _prepare(job.model(key), own_key, job.threads, protocol, pixels, emit, decode=False)
            subjects += [again] if again is not None else []
    return subjects


def _measure_rounds(
    subjects: list[Subject], job: Job[LatencyJob], protocol: Protocol, pixels: Pixels, emit: Emit[LatencyEvent]
) -> None:
    by_key = {subject.key: subject for subject in subjects}
    skip = int(job.settings.get("skip", 0))
    for number, keys in enumerate(block_order(list(by_key), protocol.rounds, int(job.settings.get("seed", 0)))):
        pixels.forget()
        for place, subject in enumerate(by_key[key] for key in keys):
            if number * len(subjects) + place < skip:
                continue
            time.sleep(protocol.cooldown_ns / 1e9)
            times = _without_gc(partial(subject.block, protocol, number))
            emit({"event": "block", "round": number, "key": subject.key, **times})
        emit(
            {
                "event": "state",
                "round": number,
                "temperature_c": probe.temperature_c(),
                "throttled": probe.throttled(),
            }
        )


def _without_gc(measure: Callable[[], Result]) -> Result:
    gc.collect()
    gc.disable()
    try:
        return measure()
    finally:
        gc.enable()


def _prepare(
    entry: JobModel,
    key: str,
    threads: int,
    protocol: Protocol,
    pixels: Pixels,
    emit: Emit[LatencyEvent],
    *,
    decode: bool,
) -> Subject | None:
    """Open the model, set its input, run it for the first time, warm up.

    None if its output is not finite, it exceeds the limit of its entry, or a runtime refuses the entry's settings.
    """
    emit({"event": "opening", "key": key})
    threads = entry.threads or threads
    cores = cores_for(threads) if entry.pin else None
    with kept_to(cores):
        return _prepared(entry, key, threads, cores, protocol, pixels, emit, decode=decode)


def _prepared(
    entry: JobModel,
    key: str,
    threads: int,
    cores: list[int] | None,
    protocol: Protocol,
    pixels: Pixels,
    emit: Emit[LatencyEvent],
    *,
    decode: bool,
) -> Subject | None:
    start = time.perf_counter_ns()
    try:
        model = entry.open(threads)
    except ModelError as error:
        if not entry.choices.options and entry.limit_ns is None:
            raise
        emit({"event": "failed", "key": key, "reason": error.reason})
        return None
    load_ns = time.perf_counter_ns() - start
    inputs = Inputs(entry, model, pixels, protocol.rounds, same=key == same_key(entry.key))
    model.set_input(inputs.first())
    first_ns = run_block(model.invoke, 1, 0)[0]
    try:
        model.scores()
    except DeviceError as error:
        emit({"event": "failed", "key": key, "reason": error.reason})
        return None
    if entry.limit_ns is not None and first_ns > entry.limit_ns:
        again_ns = run_block(model.invoke, 1, 0)[0]  # a first run may do more than others
        if again_ns > entry.limit_ns:
            emit({"event": "failed", "key": key, "reason": f"too slow: a run takes {again_ns / 1e6:.3g} ms"})
            return None
    warmup = _without_gc(lambda: run_block(model.invoke, protocol.warmup_runs, protocol.warmup_ns))
    emit(
        {
            "event": "model",
            "key": key,
            "runtime": model.runtime_info,
            "threads": threads,
            "pinned": cores,
            "load_ns": load_ns,
            "first_ns": first_ns,
            "warmup_ns": warmup,
        }
    )
    if decode and entry.images:
        emit(_image_times(entry, key, model))
    return Subject(key, model, inputs, statistics.median(warmup), cores)


def _image_times(entry: JobModel, key: str, model: Model) -> ImagesEvent:
    """Time to decode, resize and scale each image, and to read the result."""
    classifier = Classifier(entry, model)
    before, after = [], []
    clock = time.perf_counter_ns
    for path in entry.images[:DECODED_IMAGES]:
        start = clock()
        pixels = classifier.geometry.load(path)
        tensor = model.input.prepare(pixels, entry.scaling)
        before.append(clock() - start)
        model.set_input(tensor)
        model.invoke()
        start = clock()
        probabilities = classifier.probabilities()
        int(probabilities.argmax())
        after.append(clock() - start)
    return {"event": "images", "key": key, "preprocess_ns": before, "postprocess_ns": after}
