"""Peak memory of one model: run in a fresh process that does nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from .failures import DeviceError
from .jobs import Emit, Job
from .runtimes import default_runtime, import_runtime, model_format

RUNS = 5
"""Enough for every buffer that a runtime makes only when it is first needed."""


def memory(job: Job, emit: Emit) -> None:
    """The verb: resident memory before the model (interpreter, numpy, runtime) and at its peak while it runs."""
    if len(job.models) != 1:
        raise DeviceError(f"memory is measured for one model in a fresh process, not for {len(job.models)}")
    entry = job.models[0]
    import_runtime(entry.runtime or default_runtime(model_format(entry.path)))
    reset = reset_peak()
    baseline = resident_bytes()
    emit("opening", key=entry.key)
    model = entry.open(job.threads)
    shape = (model.input.height, model.input.width, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    model.set_input(model.input.prepare(pixels, entry.scaling))
    for _ in range(RUNS):
        model.invoke()
    model.fetch()
    peak = peak_bytes()
    emit(
        "memory",
        key=entry.key,
        threads=job.threads,
        baseline_rss_bytes=baseline,
        peak_rss_bytes=peak,
        model_rss_bytes=max(0, peak - baseline),
        peak_was_reset=reset,
    )


def reset_peak() -> bool:
    """Forget the peak so far (Linux); False where that cannot be done and the peak includes the imports'."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def resident_bytes() -> int:
    """Resident memory now; on systems without /proc the peak so far, which is what they tell."""
    return _status_bytes("VmRSS") or _rusage_bytes()


def peak_bytes() -> int:
    """The highest resident memory of this process."""
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
