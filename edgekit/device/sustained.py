"""Sustained load: one model at a time without a pause, to see what heat and throttling leave of its speed."""

from __future__ import annotations

import time

from . import probe
from .failures import DeviceError
from .jobs import Emit, Job
from .timing import prepare_input, run_block

WINDOW_NS = 1_000_000_000
STATE_EVERY_S = 5.0
COOL_C = 3.0
"""How near the next model's start has to come to the temperature at the first one's."""

COOL_MAX_S = 600.0


def sustained(job: Job, emit: Emit) -> None:
    """The verb: ``seconds`` of uninterrupted runs of each model, one ``window`` line a second.

    Between two models the machine cools down to where the first one began; the time it took is in the start line. A
    window holds its runs in nanoseconds, the second it began at, and the state of the machine then (throttling
    flags every few seconds only: asking the firmware takes time from the runs).
    """
    seconds = float(job.raw.get("seconds", 0))
    if seconds <= 0:
        raise DeviceError("a sustained run lasts longer than 0 seconds")
    cold_c = probe.temperature_c()
    for entry in job.models:
        cooled_s = cool_down(cold_c)
        emit("opening", key=entry.key)
        model = entry.open(job.threads)
        prepare_input(model, entry)
        model.invoke()
        emit("sustained_start", key=entry.key, threads=job.threads, cooldown_s=cooled_s, **probe.state())
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


def cool_down(wanted_c: float | None, limit_s: float = COOL_MAX_S) -> float:
    """Wait until the temperature is near ``wanted_c``; the seconds it took. No wait where it cannot be read."""
    start = time.monotonic()
    while wanted_c is not None and time.monotonic() - start < limit_s:
        now_c = probe.temperature_c()
        if now_c is None or now_c <= wanted_c + COOL_C:
            break
        time.sleep(1.0)
    return time.monotonic() - start
