"""The verb ``latency``: warm-up, then interleaved blocks of all models in random order. Only the invoke is timed."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import TypeVar

import numpy as np

from . import probe
from .block_order import block_order
from .classifier import Classifier
from .failures import DeviceError
from .jobs import Job, JobModel
from .protocol import Emit, control_key
from .protocol.events import BlockTimes, ImagesEvent, LatencyEvent
from .protocol.jobs import LatencyJob
from .runtimes import Model

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

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Protocol:
        """The protocol of a job. Raises :class:`DeviceError` if it is incomplete; other keys are ignored."""
        try:
            return cls(**{f.name: int(settings[f.name]) for f in fields(cls) if f.name in settings})  # type: ignore[call-overload]
        except (TypeError, ValueError) as error:
            raise DeviceError(f"the protocol of the job is incomplete: {error}") from None


def run_block(invoke: Callable[[], object], min_runs: int, min_ns: int) -> list[int]:
    """Times of single invokes in nanoseconds, until there are ``min_runs`` that add up to ``min_ns``."""
    clock = time.perf_counter_ns
    samples: list[int] = []
    append = samples.append
    spent = 0
    while spent < min_ns or len(samples) < min_runs:
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


@dataclass
class Subject:
    """One opened model in the measurement."""

    key: str
    model: Model
    typical_ns: float

    def block(self, protocol: Protocol, threads: int) -> BlockTimes:
        """Measure one block."""
        if threads > 1:
            settle()
        if self.typical_ns < SLOW_NS:
            self.model.invoke()  # not timed: brings code and weights back into the caches after another model
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        samples = run_block(self.model.invoke, protocol.block_runs, protocol.block_ns)
        return {
            "ns": samples,
            "wall_ns": time.perf_counter_ns() - wall,
            "cpu_ns": time.process_time_ns() - cpu,
            "frequency_khz": probe.frequency_khz(),
        }


def latency(job: Job[LatencyJob], emit: Emit[LatencyEvent]) -> None:
    """The verb: measure each model of the job, and those in ``controls`` a second time under a key of their own.

    Events: ``environment`` before and after, ``model`` (load, first run, warm-up), ``images`` (decoding and reading
    the result), ``block`` per model and round, ``state`` per round, ``failed`` for a model whose output is not finite.
    The order follows from ``seed``, so a job with ``skip`` continues where an interrupted one ended.
    """
    protocol = Protocol.read(job.settings.get("protocol", {}))
    waiting = probe.OthersWatch()
    time.sleep(0.25)
    emit({"event": "environment", "when": "before", "others_cores": waiting.cores(), **probe.environment()})
    subjects = _subjects(job, protocol, emit)
    watch = probe.OthersWatch()
    _measure_rounds(subjects, job, protocol, emit)
    emit({"event": "environment", "when": "after", "others_cores": watch.cores(), **probe.state()})


def _subjects(job: Job[LatencyJob], protocol: Protocol, emit: Emit[LatencyEvent]) -> list[Subject]:
    """The opened and warmed-up models, including the second copies of the controls."""
    decode = not job.settings.get("skip")
    prepared = [_prepare(entry, entry.key, job.threads, protocol, emit, decode=decode) for entry in job.models]
    subjects = [subject for subject in prepared if subject is not None]
    good = {subject.key for subject in subjects}
    for key in job.settings.get("controls", ()):
        if key in good:
            again = _prepare(job.model(key), control_key(key), job.threads, protocol, emit, decode=False)
            subjects += [again] if again is not None else []
    return subjects


def _measure_rounds(
    subjects: list[Subject], job: Job[LatencyJob], protocol: Protocol, emit: Emit[LatencyEvent]
) -> None:
    by_key = {subject.key: subject for subject in subjects}
    skip = int(job.settings.get("skip", 0))
    for number, keys in enumerate(block_order(list(by_key), protocol.rounds, int(job.settings.get("seed", 0)))):
        for place, subject in enumerate(by_key[key] for key in keys):
            if number * len(subjects) + place < skip:
                continue
            time.sleep(protocol.cooldown_ns / 1e9)
            times = _without_gc(partial(subject.block, protocol, job.threads))
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
    entry: JobModel, key: str, threads: int, protocol: Protocol, emit: Emit[LatencyEvent], *, decode: bool = True
) -> Subject | None:
    """Open the model, set its input, run it for the first time, warm up. None if its output is not finite."""
    emit({"event": "opening", "key": key})
    start = time.perf_counter_ns()
    model = entry.open(threads)
    load_ns = time.perf_counter_ns() - start
    prepare_input(model, entry)
    first_ns = run_block(model.invoke, 1, 0)[0]
    try:
        model.scores()
    except DeviceError as error:
        emit({"event": "failed", "key": key, "reason": error.reason})
        return None
    warmup = _without_gc(lambda: run_block(model.invoke, protocol.warmup_runs, protocol.warmup_ns))
    emit(
        {
            "event": "model",
            "key": key,
            "runtime": model.runtime_info,
            "threads": threads,
            "load_ns": load_ns,
            "first_ns": first_ns,
            "warmup_ns": warmup,
        }
    )
    if decode and entry.images:
        emit(_image_times(entry, key, model))
    return Subject(key, model, statistics.median(warmup))


def prepare_input(model: Model, entry: JobModel) -> None:
    """Set the input once: a real image if there is one, otherwise seeded noise."""
    model.set_input(model.input.prepare(example_pixels(model, entry), entry.scaling))


def example_pixels(model: Model, entry: JobModel) -> np.ndarray:
    """A real image if there is one, otherwise seeded noise; uint8 (H, W, channels)."""
    if entry.images:
        return Classifier(entry, model).geometry.load(entry.images[0])
    shape = (model.input.height, model.input.width, model.input.channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _image_times(entry: JobModel, key: str, model: Model) -> ImagesEvent:
    """Time to decode, resize and scale each image, and to read the result."""
    classifier = Classifier(entry, model)
    before, after = [], []
    clock = time.perf_counter_ns
    for path in entry.images:
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
