"""Latency: warm-up, then interleaved blocks of all models in a random order; only the invoke is inside the clock."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import probe
from .failures import DeviceError
from .jobs import Classifier, Emit, Job, JobModel, load_pixels
from .runtimes import Model

SLOW_NS = 20_000_000
"""A run longer than this streams its weights from memory anyway; the model before it leaves no trace in the caches."""


@dataclass(frozen=True)
class Protocol:
    """How long is measured. A block ends when it has ``block_runs`` runs and ``block_ns`` of invoke time."""

    warmup_runs: int
    warmup_ns: int
    rounds: int
    block_runs: int
    block_ns: int
    cooldown_ns: int = 0

    @classmethod
    def read(cls, raw: dict[str, Any]) -> Protocol:
        names = cls.__dataclass_fields__
        try:
            return cls(**{name: int(raw[name]) for name in names if name in raw})
        except (TypeError, ValueError) as error:
            raise DeviceError(f"the protocol of the job is incomplete: {error}") from None


def run_block(invoke: Callable[[], Any], min_runs: int, min_ns: int) -> list[int]:
    """Times of single invokes in nanoseconds, until there are ``min_runs`` and they add up to ``min_ns``."""
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
    """Wait until no worker thread of this process spins any more, at most ``limit_ns``.

    Thread pools keep spinning for a while after a run; that would burn a core inside the next model's block.
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

    def block(self, protocol: Protocol, threads: int) -> dict[str, Any]:
        """One measured block: times, and how much processor time it took in all threads."""
        if threads > 1:
            settle()
        if self.typical_ns < SLOW_NS:
            self.model.invoke()  # unmeasured: brings code and weights back into the caches after another model
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        samples = run_block(self.model.invoke, protocol.block_runs, protocol.block_ns)
        return {
            "ns": samples,
            "wall_ns": time.perf_counter_ns() - wall,
            "cpu_ns": time.process_time_ns() - cpu,
            "frequency_khz": probe.frequency_khz(),
        }


def latency(job: Job, emit: Emit) -> None:
    """The verb: measure every model of the job, and ``control`` a second time under its own name.

    Lines: ``environment`` before and after, ``model`` (load, first, warm-up), ``images`` (decode and read-out),
    ``block`` per model and round, ``state`` per round, ``failed`` for a model whose output is not finite. ``skip``:
    so many blocks were measured before an interruption; the order is that of the seed, so the rest follows on.
    """
    protocol = Protocol.read(job.raw.get("protocol", {}))
    order = random.Random(int(job.raw.get("seed", 0)))
    waiting = probe.OthersWatch()
    time.sleep(0.25)
    emit("environment", when="before", others_cores=waiting.cores(), **probe.environment())
    subjects = []
    for entry in job.models:
        subject = _prepare(entry, entry.key, job.threads, protocol, emit, decode=not job.raw.get("skip"))
        if subject is not None:
            subjects.append(subject)
    control = job.raw.get("control")
    if control in {subject.key for subject in subjects}:
        again = _prepare(job.model(control), f"{control}#again", job.threads, protocol, emit, decode=False)
        subjects += [again] if again is not None else []
    watch = probe.OthersWatch()
    skip = int(job.raw.get("skip", 0))
    for number in range(protocol.rounds):
        order.shuffle(subjects)
        for place, subject in enumerate(subjects):
            if number * len(subjects) + place < skip:
                continue
            time.sleep(protocol.cooldown_ns / 1e9)
            emit("block", round=number, key=subject.key, **_without_gc(subject.block, protocol, job.threads))
        emit("state", round=number, temperature_c=probe.temperature_c(), throttled=probe.throttled())
    emit("environment", when="after", others_cores=watch.cores(), **probe.state())


def _without_gc(measure: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    gc.collect()
    gc.disable()
    try:
        return measure(*arguments)
    finally:
        gc.enable()


def _prepare(
    entry: JobModel, key: str, threads: int, protocol: Protocol, emit: Emit, *, decode: bool = True
) -> Subject | None:
    """Open, set the input, run for the first time, warm up; None where the model gives no finite result."""
    emit("opening", key=key)
    start = time.perf_counter_ns()
    model = entry.open(threads)
    load_ns = time.perf_counter_ns() - start
    prepare_input(model, entry)
    first_ns = run_block(model.invoke, 1, 0)[0]
    try:
        model.scores()
    except DeviceError as error:
        emit("failed", key=key, reason=error.reason)
        return None
    warmup = _without_gc(lambda: {"ns": run_block(model.invoke, protocol.warmup_runs, protocol.warmup_ns)})["ns"]
    emit(
        "model",
        key=key,
        runtime={"name": model.runtime, "version": model.version, "delegate": model.delegate},
        threads=threads,
        load_ns=load_ns,
        first_ns=first_ns,
        warmup_ns=warmup,
    )
    if decode and entry.images:
        emit("images", key=key, **_image_times(entry, model))
    return Subject(key, model, statistics.median(warmup))


def prepare_input(model: Model, entry: JobModel) -> None:
    """Set the input once: a real image where there is one, otherwise seeded noise."""
    model.set_input(model.input.prepare(example_pixels(model, entry), entry.scaling))


def example_pixels(model: Model, entry: JobModel) -> np.ndarray:
    """A real image where there is one, otherwise seeded noise; uint8 (H, W, 3)."""
    side = model.input.height
    if entry.images and side == model.input.width:
        return np.asarray(load_pixels(entry.images[0], (side, entry.resize)))
    shape = (side, model.input.width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _image_times(entry: JobModel, model: Model) -> dict[str, Any]:
    """Decode+resize+scale of every picture, and reading the result out, in nanoseconds."""
    classifier = Classifier(entry, model)
    before, after = [], []
    clock = time.perf_counter_ns
    for path in entry.images:
        start = clock()
        pixels = load_pixels(path, classifier.geometry)
        tensor = model.input.prepare(pixels, entry.scaling)
        before.append(clock() - start)
        model.set_input(tensor)
        model.invoke()
        start = clock()
        probabilities = classifier.probabilities()
        int(probabilities.argmax())
        after.append(clock() - start)
    return {"preprocess_ns": before, "postprocess_ns": after}
