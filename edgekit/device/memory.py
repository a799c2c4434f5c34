"""The verb ``memory``: peak memory of one model, in a fresh process that does nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from .jobs import Job
from .protocol import Emit
from .protocol.events import MemoryJobEvent
from .protocol.jobs import MemoryJob
from .runtimes import default_runtime, import_runtime, model_format

RUNS = 5
"""Enough for a runtime to allocate the buffers that it creates on first use."""


def memory(job: Job[MemoryJob], emit: Emit[MemoryJobEvent]) -> None:
    """The verb: resident memory before the model is opened (interpreter, NumPy, runtime) and at its peak."""
    entry = job.only_model("memory measurement")
    import_runtime(entry.runtime or default_runtime(model_format(entry.path)))
    reset = reset_peak()
    baseline = resident_bytes()
    emit({"event": "opening", "key": entry.key})
    model = entry.open(job.threads)
    shape = (model.input.height, model.input.width, model.input.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    model.set_input(model.input.prepare(pixels, entry.scaling))
    for _ in range(RUNS):
        model.invoke()
    model.fetch()
    peak = peak_bytes()
    emit(
        {
            "event": "memory",
            "key": entry.key,
            "threads": job.threads,
            "baseline_rss_bytes": baseline,
            "peak_rss_bytes": peak,
            "model_rss_bytes": max(0, peak - baseline),
            "peak_was_reset": reset,
            "arena_bytes": model.arena_bytes,
        }
    )


def reset_peak() -> bool:
    """Reset the peak (Linux). False if that is impossible, and the peak then includes that of the imports."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def resident_bytes() -> int:
    """Current resident memory; on systems without /proc the peak so far, which is all they report."""
    return _status_bytes("VmRSS") or _rusage_bytes()


def peak_bytes() -> int:
    """Peak resident memory of this process."""
    return _status_bytes("VmHWM") or _rusage_bytes()


def _status_bytes(key: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return None


def _rusage_bytes() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
