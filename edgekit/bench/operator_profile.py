"""`edgekit bench --profile`: how long each operator of a model takes, as its runtime measures it."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.bench.measured_model import MeasuredModel
from edgekit.device.protocol.jobs import ProfileJob
from edgekit.device.protocol.verbs import PROFILE
from edgekit.documents.latency import ProtocolRecord
from edgekit.documents.profile import OperatorProfile
from edgekit.errors import EdgekitError, TargetError
from edgekit.render.text import plural
from edgekit.support.progress import Progress
from edgekit.targets.base import Target

RUNS = 30


def measure_profile(
    target: Target,
    models: Sequence[MeasuredModel],
    protocol: ProtocolRecord,
    threads: int,
    progress: Progress,
    found: dict[str, OperatorProfile],
) -> None:
    """Add the profile of each model to ``found``, by its id. Each model is profiled in its own process.

    A model that cannot be profiled has not failed: ``reason`` says why there are no times. Profiling slows a run
    down, so its times are kept apart from the measured latency.
    """
    runs = min(RUNS, protocol.total_runs)
    with progress.bar(f"profile, {plural(threads, 'thread')}", len(models)) as bar:
        for model in models:
            found[model.id] = _profile(target, model, threads, runs)
            bar.advance()


def _profile(target: Target, model: MeasuredModel, threads: int, runs: int) -> OperatorProfile:
    found = _without("the target returned no profile")
    try:
        for event in target.run(PROFILE, ProfileJob(models=[model.job()], threads=threads, runs=runs)):
            if event["event"] == "profile":
                found = OperatorProfile.model_validate({k: v for k, v in event.items() if k not in {"event", "key"}})
    except TargetError:
        raise
    except EdgekitError as error:  # the profiler failed on a model that was measured without trouble
        return _without(error.problem)
    return found


def _without(reason: str) -> OperatorProfile:
    return OperatorProfile(threads=None, runtime=None, version=None, reason=reason, run_ns=(), nodes=())
