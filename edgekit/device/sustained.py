"""Sustained load: one model at a time without a pause, to see what heat and throttling leave of its speed."""

from __future__ import annotations

import time

from . import probe
from .failures import DeviceError
from .jobs import Emit, Job
from .timing import prepare_input, run_block

WINDOW_NS = 1_000_000_000
STATE_EVERY_S = 5.0


def sustained(job: Job, emit: Emit) -> None:
    """The verb: ``seconds`` of uninterrupted runs of each model, one ``window`` line a second.

    A window holds its runs in nanoseconds, the second it began at, and the state of the machine then (throttling
    flags every few seconds only: asking the firmware takes time from the runs).
    """
    seconds = float(job.raw.get("seconds", 0))
    if seconds <= 0:
        raise DeviceError("a sustained run lasts longer than 0 seconds")
    for entry in job.models:
        emit("opening", key=entry.key)
        model = entry.open(job.threads)
        prepare_input(model, entry)
        model.invoke()
        emit("sustained_start", key=entry.key, threads=job.threads, **probe.state())
        start, asked = time.monotonic(), float("-inf")
        while (now := time.monotonic() - start) < seconds:
            flags = None
            if now - asked >= STATE_EVERY_S:
                asked, flags = now, probe.throttled()
            samples = run_block(model.invoke, 1, WINDOW_NS)
            emit(
                "window",
                key=entry.key,
                start_s=round(now, 3),
                ns=samples,
                frequency_khz=probe.frequency_khz(),
                temperature_c=probe.temperature_c(),
                throttled=flags,
            )
        emit("sustained_end", key=entry.key, **probe.state())
