"""Operator profiles of ONNX Runtime, which writes a trace as JSON."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from .jobs import JobModel
from .onnx_session import open_session
from .profiling import WARMUP_RUNS, OperatorTime, Profile
from .varied_inputs import first_input

KERNEL = "_kernel_time"
"""Ends the name of an operator's trace event."""

TraceEvent = dict[str, Any]
"""One entry of ONNX Runtime's trace, as it writes it."""


def profile(entry: JobModel, threads: int, runs: int) -> Profile:
    """``runs`` profiled runs."""
    model = entry.open(threads)
    tensor = first_input(entry, model)
    clock = time.perf_counter_ns
    times = []
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        with entry.assembled() as path:
            session = open_session(path, threads, profile=str(Path(folder) / "profile"))
        feed = {model.input.name: tensor}
        for _ in range(WARMUP_RUNS + runs):
            start = clock()
            session.run(None, feed)
            times.append(clock() - start)
        trace = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return Profile(times[WARMUP_RUNS:], _passes(trace)[WARMUP_RUNS:])


def _passes(trace: list[TraceEvent]) -> list[list[OperatorTime]]:
    """The operators of each run. An operator belongs to the run during which it started."""
    starts = sorted((e["ts"], e["ts"] + e["dur"]) for e in trace if e.get("name") == "model_run")
    kernels = [e for e in trace if e.get("cat") == "Node" and str(e["name"]).endswith(KERNEL)]
    kernels.sort(key=lambda e: e["ts"])
    return [[_operator_time(e) for e in kernels if begin <= e["ts"] <= end] for begin, end in starts]


def _operator_time(event: TraceEvent) -> OperatorTime:
    details = event.get("args", {})
    where = str(details.get("provider", "")).replace("ExecutionProvider", "") or "CPU"
    name = str(event["name"])[: -len(KERNEL)]
    return OperatorTime(name, str(details.get("op_name", "?")), where, 1000 * int(event["dur"]))
