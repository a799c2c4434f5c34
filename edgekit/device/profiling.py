"""The verb ``profile``: how long each operator of one file takes, as its runtime measures it."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

from .failures import DeviceError
from .jobs import Emit, Job, JobModel
from .litert_library import NotOfferedError, ProfiledModel, library_path
from .runtimes import default_runtime, model_format, onnx_session, runtime_version
from .timing import example_pixels

WARMUP_RUNS = 3

Row = tuple[str, str, str, int]
"""Node, operator, where it ran, nanoseconds."""


def profile(job: Job, emit: Emit) -> None:
    """One ``profile`` line: whole runs in nanoseconds, and every operator's time in each of them.

    Where the runtime offers no profile, the line has the ``reason`` and no times.
    """
    if len(job.models) != 1:
        raise DeviceError(f"one model is profiled in a process, not {len(job.models)}")
    entry, runs = job.models[0], int(job.raw.get("runs", 20))
    if runs < 1:
        raise DeviceError("a profile needs one run or more")
    name = entry.runtime or default_runtime(model_format(entry.path))
    emit("opening", key=entry.key)
    told: dict[str, Any] = {"key": entry.key, "threads": job.threads, "runtime": name}
    told["version"] = runtime_version(name)
    try:
        whole, passes = _profiled(name, entry, job.threads, runs)
    except NotOfferedError as error:
        emit("profile", **told, reason=str(error), run_ns=[], nodes=[])
    else:
        emit("profile", **told, reason=None, run_ns=whole, nodes=_nodes(passes))


def _profiled(name: str, entry: JobModel, threads: int, runs: int) -> tuple[list[int], list[list[Row]]]:
    if name not in PROFILERS:
        raise NotOfferedError("this runtime offers no profile of its operators")
    return PROFILERS[name](entry, threads, runs)


def _nodes(passes: list[list[Row]]) -> list[dict[str, Any]]:
    """Every operator with its time in each run; all runs have the same operators in the same order."""
    heads = [[row[:3] for row in rows] for rows in passes]
    if any(head != heads[0] for head in heads):
        raise DeviceError("the runtime's profile names other operators from run to run")
    return [
        {"name": name, "operator": operator, "where": where, "ns": [rows[position][3] for rows in passes]}
        for position, (name, operator, where) in enumerate(heads[0])
    ]


def _litert(entry: JobModel, threads: int, runs: int) -> tuple[list[int], list[list[Row]]]:
    library = library_path(runtime_version("litert"))
    model = entry.open(1)  # it knows the input
    tensor = model.input.prepare(example_pixels(model, entry), entry.scaling)
    profiled = ProfiledModel(library, entry.path, threads)
    profiled.set_input(tensor)
    for _ in range(WARMUP_RUNS):
        profiled.invoke()
    whole, passes = [], []
    for _ in range(runs):
        nanoseconds, rows = profiled.profiled_run()
        whole.append(nanoseconds)
        passes.append([(str(i), operator, where, ns) for i, (operator, where, ns) in enumerate(rows)])
    return whole, passes


def _onnxruntime(entry: JobModel, threads: int, runs: int) -> tuple[list[int], list[list[Row]]]:
    model = entry.open(threads)
    tensor = model.input.prepare(example_pixels(model, entry), entry.scaling)
    clock = time.perf_counter_ns
    whole = []
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        session = onnx_session(entry.path, threads, profile=str(Path(folder) / "profile"))
        feed = {model.input.name: tensor}
        for number in range(WARMUP_RUNS + runs):
            start = clock()
            session.run(None, feed)
            if number >= WARMUP_RUNS:
                whole.append(clock() - start)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return whole, _onnx_passes(events)[WARMUP_RUNS:]


def _onnx_passes(events: list[dict[str, Any]]) -> list[list[Row]]:
    """The operators of each run. An operator belongs to the run within whose time it began."""
    starts = sorted((e["ts"], e["ts"] + e["dur"]) for e in events if e.get("name") == "model_run")
    nodes = [e for e in events if e.get("cat") == "Node" and str(e["name"]).endswith("_kernel_time")]
    nodes.sort(key=lambda e: e["ts"])
    passes = []
    for begin, end in starts:
        inside = [e for e in nodes if begin <= e["ts"] <= end]
        passes.append([_onnx_row(event) for event in inside])
    return passes


def _onnx_row(event: dict[str, Any]) -> Row:
    details = event.get("args", {})
    where = str(details.get("provider", "")).replace("ExecutionProvider", "") or "CPU"
    name = str(event["name"])[: -len("_kernel_time")]
    return name, str(details.get("op_name", "?")), where, 1000 * int(event["dur"])


PROFILERS: dict[str, Callable[[JobModel, int, int], tuple[list[int], list[list[Row]]]]] = {
    "litert": _litert,
    "onnxruntime": _onnxruntime,
}
