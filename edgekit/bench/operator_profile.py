"""`edgekit bench --profile`: how long each operator of a file takes, as its runtime measures it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.bench.models import Candidate
from edgekit.bench.protocols import BenchProtocol
from edgekit.errors import EdgekitError, TargetError
from edgekit.support.progress import Progress
from edgekit.targets.base import Target

RUNS = 30
STORED = ("threads", "runtime", "version", "reason", "run_ns", "nodes")


def measure_profile(
    target: Target, candidates: Sequence[Candidate], protocol: BenchProtocol, threads: int, progress: Progress
) -> dict[str, dict[str, Any]]:
    """By candidate id: the ``profile`` of its result, of each file in a process of its own.

    A profile that cannot be had is no failure of the file: ``reason`` says why, and there are no times. Profiling
    slows a run down, so that its times stand apart from the measured latency.
    """
    runs = min(RUNS, protocol.repeats * protocol.rounds * protocol.block_runs)
    found: dict[str, dict[str, Any]] = {}
    with progress.bar(f"profile, {threads} thread{'s' * (threads > 1)}", len(candidates)) as bar:
        for candidate in candidates:
            found[candidate.id] = _profile(target, {"models": [candidate.job()], "threads": threads, "runs": runs})
            bar.advance()
    return found


def _profile(target: Target, job: dict[str, Any]) -> dict[str, Any]:
    try:
        for event in target.run("profile", job):
            if event["event"] == "profile":
                return {name: event[name] for name in STORED}
    except TargetError:
        raise
    except EdgekitError as error:  # the profiler failed on a file that was measured all right
        return _without(error.problem)
    return _without("the target gave none")


def _without(reason: str) -> dict[str, Any]:
    return {**dict.fromkeys(STORED), "reason": reason, "run_ns": [], "nodes": []}
