"""Operator profiles of LiteRT."""

from __future__ import annotations

from .failures import NotOfferedError
from .jobs import JobModel
from .litert_library import ProfiledModel, library_path
from .profiling import WARMUP_RUNS, OperatorTime, Profile
from .runtimes import runtime_version
from .varied_inputs import first_input


def profile(entry: JobModel, threads: int, runs: int) -> Profile:
    """``runs`` profiled runs. Raises :class:`NotOfferedError` if this build of LiteRT has no known profiler."""
    library = library_path(runtime_version("litert"))
    model = entry.open(1)  # only to prepare the input
    if model.input.dynamic_batch or entry.choices.image_size is not None:
        raise NotOfferedError("LiteRT offers no operator profile of a model with a dynamic input")
    tensor = first_input(entry, model)
    profiled = ProfiledModel(library, entry.path, threads)
    profiled.set_input(tensor)
    for _ in range(WARMUP_RUNS):
        profiled.invoke()
    found = Profile([], [])
    for _ in range(runs):
        nanoseconds, rows = profiled.profiled_run()
        found.run_ns.append(nanoseconds)
        found.passes.append([OperatorTime(str(i), operator, where, ns) for i, (operator, where, ns) in enumerate(rows)])
    return found
