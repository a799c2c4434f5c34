"""The verb ``probe``: the machine, and what each file of the job wants and gives."""

from __future__ import annotations

from . import energy, metadata, probe, runtimes
from .failures import MissingRuntimeError
from .jobs import Emit, Job


def inspect(job: Job, emit: Emit) -> None:
    """One ``environment`` line, with ``import`` one ``runtime`` line each, and one ``inspected`` line a model."""
    emit("environment", when="now", power_source=energy.source(), **probe.environment())
    if job.raw.get("import"):
        for name in runtimes.FORMAT_OF:
            emit("runtime", name=name, version=runtimes.runtime_version(name), error=_import_error(name))
    for entry in job.models:
        emit("opening", key=entry.key)
        model = entry.open(1)
        emit(
            "inspected",
            key=entry.key,
            runtime={"name": model.runtime, "version": model.version, "delegate": model.delegate},
            input={
                "name": model.input.name,
                "dtype": model.input.dtype,
                "shape": list(model.input.shape),
                "layout": model.input.layout,
                "needs_scaling": model.input.needs_scaling,
            },
            output={"name": model.output.name, "dtype": model.output.dtype, "classes": model.output.classes},
            metadata=metadata.read_metadata(entry.path, model).document(),
        )


def _import_error(name: str) -> str | None:
    """Why a runtime does not load, None where it does: an installed one may miss a library of the system."""
    if runtimes.runtime_version(name) is None:
        return "not installed"
    try:
        runtimes.import_runtime(name)
    except MissingRuntimeError as error:
        return error.reason
    return None
