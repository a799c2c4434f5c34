"""The verb ``profile``: how long each operator of one file takes, as its runtime measures it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

from .failures import DeviceError, NotOfferedError
from .jobs import Job, JobModel
from .protocol import Emit
from .protocol.events import NodeTimes, ProfileJobEvent
from .protocol.jobs import ProfileJob
from .runtime_table import RUNTIMES
from .runtimes import companion, default_runtime, model_format, runtime_version

WARMUP_RUNS = 3


class OperatorTime(NamedTuple):
    """One operator in one run."""

    name: str
    operator: str
    where: str
    ns: int


class Profile(NamedTuple):
    """``run_ns``: whole runs; ``passes``: the operators of each of them, in order."""

    run_ns: list[int]
    passes: list[list[OperatorTime]]


def profile(job: Job[ProfileJob], emit: Emit[ProfileJobEvent]) -> None:
    """One ``profile`` event. If the runtime offers no profile, it carries the ``reason`` and no times."""
    entry, runs = job.only_model("profiling"), int(job.settings.get("runs", 20))
    if runs < 1:
        raise DeviceError("a profile needs at least one run")
    name = entry.runtime or default_runtime(model_format(entry.path))
    emit({"event": "opening", "key": entry.key})
    found, reason = Profile([], []), None
    try:
        found = _profiled(name, entry, job.threads, runs)
    except NotOfferedError as error:
        reason = str(error)
    emit(
        {
            "event": "profile",
            "key": entry.key,
            "threads": job.threads,
            "runtime": name,
            "version": runtime_version(name),
            "reason": reason,
            "run_ns": found.run_ns,
            "nodes": _nodes(found.passes),
        }
    )


def _profiled(name: str, entry: JobModel, threads: int, runs: int) -> Profile:
    module = RUNTIMES[name].profiler if name in RUNTIMES else None
    if module is None:
        raise NotOfferedError(f"{name} does not offer operator profiles")
    profiler = cast("Callable[[JobModel, int, int], Profile]", companion(module).profile)
    return profiler(entry, threads, runs)


def _nodes(passes: list[list[OperatorTime]]) -> list[NodeTimes]:
    """Each operator with its time in each run; all runs have the same operators in the same order."""
    if not passes:
        return []
    heads = [[row[:3] for row in rows] for rows in passes]
    if any(head != heads[0] for head in heads):
        raise DeviceError("the operators in the runtime's profile differ between runs")
    return [
        {"name": row.name, "operator": row.operator, "where": row.where, "ns": [rows[i].ns for rows in passes]}
        for i, row in enumerate(passes[0])
    ]
