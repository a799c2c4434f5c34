"""The verb ``sustained``: one model runs continuously, to show how heat and throttling affect its latency."""

from __future__ import annotations

import time
from collections.abc import Callable

from . import probe
from .failures import DeviceError
from .jobs import Job
from .protocol import Emit
from .protocol.events import SustainedEvent, WindowEvent
from .protocol.jobs import TimedJob
from .runtimes import Model
from .timing import run_block
from .varied_inputs import input_cycle

WINDOW_NS = 1_000_000_000
STATE_EVERY_S = 5.0
COOL_C = 3.0
"""The next model starts once the temperature is within this distance of where the first one started."""

COOL_MAX_S = 600.0


def sustained(job: Job[TimedJob], emit: Emit[SustainedEvent]) -> None:
    """The verb: run each model continuously for ``seconds``, one ``window`` event per second.

    The runs take the model's images one after another, or noise pictures if it has none. Only the invoke is timed.

    Between models, the machine cools down to the temperature at which the first one started. A window contains the time
    of each run, when the window began, and the state of the machine then. Throttling flags are read every few seconds
    only, because asking the firmware takes time away from the runs.
    """
    seconds = float(job.settings.get("seconds", 0))
    if seconds <= 0:
        raise DeviceError("a sustained run needs a duration above 0 seconds")
    cold_c = probe.temperature_c()
    for entry in job.models:
        cooled_s = cool_down(cold_c)
        emit({"event": "opening", "key": entry.key})
        model = entry.open(job.threads)
        next_input = input_cycle(entry, model)
        next_input()
        model.invoke()
        emit(
            {
                "event": "sustained_start",
                "key": entry.key,
                "threads": job.threads,
                "cooldown_s": cooled_s,
                **probe.state(),
            }
        )
        windows = _run(model, next_input, entry.key, seconds, emit)
        emit({"event": "sustained_end", "key": entry.key, "windows": windows, **probe.state()})


def _run(model: Model, next_input: Callable[[], None], key: str, seconds: float, emit: Emit[WindowEvent]) -> int:
    """Emit the windows. Returns how many there were."""
    start, asked, number = time.monotonic(), float("-inf"), 0
    while (now := time.monotonic() - start) < seconds:
        flags = None
        if now - asked >= STATE_EVERY_S:
            asked, flags = now, probe.throttled()
        samples = run_block(model.invoke, 1, WINDOW_NS, next_input)
        emit(
            {
                "event": "window",
                "key": key,
                "number": number,
                "start_s": round(now, 3),
                "ns": samples,
                "frequency_khz": probe.frequency_khz(),
                "temperature_c": probe.temperature_c(),
                "throttled": flags,
            }
        )
        number += 1
    return number


def cool_down(wanted_c: float | None, limit_s: float = COOL_MAX_S) -> float:
    """Wait until the temperature is near ``wanted_c``; returns the seconds it took. No wait if it cannot be read."""
    start = time.monotonic()
    while wanted_c is not None and time.monotonic() - start < limit_s:
        now_c = probe.temperature_c()
        if now_c is None or now_c <= wanted_c + COOL_C:
            break
        time.sleep(1.0)
    return time.monotonic() - start
