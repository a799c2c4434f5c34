"""`edgekit bench --profile`: how long each operator of a model takes, as its runtime measures it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.protocols import BenchProtocol
from edgekit.errors import EdgekitError, TargetError
from edgekit.render.numbers import count
from edgekit.support.progress import Progress
from edgekit.targets.base import Target

RUNS = 30
STORED = ("threads", "runtime", "version", "reason", "run_ns", "nodes")


def measure_profile(
    target: Target, models: Sequence[MeasuredModel], protocol: BenchProtocol, threads: int, progress: Progress
) -> dict[str, dict[str, Any]]:
    """By model id: the ``profile`` of its result. Each model is profiled in a process of its own.

    A model that cannot be profiled has not failed: ``reason`` says why there are no times. Profiling slows a run
    down, so its times are kept apart from the measured latency.
    """
    runs = min(RUNS, protocol.repeats * protocol.rounds * protocol.block_runs)
    found: dict[str, dict[str, Any]] = {}
    with progress.bar(f"profile, {count(threads, 'thread')}", len(models)) as bar:
        for model in models:
            found[model.id] = _profile(target, {"models": [model.job()], "threads": threads, "runs": runs})
            bar.advance()
    return found


def _profile(target: Target, job: dict[str, Any]) -> dict[str, Any]:
    try:
        for event in target.run("profile", job):
            if event["event"] == "profile":
                return {name: event[name] for name in STORED}
    except TargetError:
        raise
    except EdgekitError as error:  # the profiler failed on a model that was measured without trouble
        return _without(error.problem)
    return _without("the target returned no profile")


def _without(reason: str) -> dict[str, Any]:
    return {**dict.fromkeys(STORED), "reason": reason, "run_ns": [], "nodes": []}
