"""The verb ``probe``: the machine, and what each file of the job takes and returns."""

from __future__ import annotations

from . import energy, metadata, probe, runtimes
from .classifier import Classifier
from .failures import MissingRuntimeError
from .jobs import Job, JobModel
from .protocol import Emit
from .protocol.events import InspectedEvent, ProbeEvent
from .protocol.jobs import ProbeJob
from .runtime_table import RUNTIMES


def inspect(job: Job[ProbeJob], emit: Emit[ProbeEvent]) -> None:
    """One ``environment`` event, one ``runtime`` event each with ``load_runtimes``, one ``inspected`` event a model."""
    emit({"event": "environment", "when": "now", "power_source": energy.source(), **probe.environment()})
    if job.settings.get("load_runtimes"):
        for name in RUNTIMES:
            version = runtimes.runtime_version(name)
            emit({"event": "runtime", "name": name, "version": version, "error": _import_error(name)})
    for entry in job.models:
        emit({"event": "opening", "key": entry.key})
        emit(_inspected(entry))


def _inspected(entry: JobModel) -> InspectedEvent:
    classifier = Classifier(entry, entry.open(1))
    model = classifier.model
    return {
        "event": "inspected",
        "key": entry.key,
        "runtime": model.runtime_info,
        "input": {
            "name": model.input.name,
            "dtype": model.input.dtype,
            "shape": list(model.input.shape),
            "layout": model.input.layout,
            "needs_scaling": model.input.needs_scaling,
            "dynamic_batch": model.input.dynamic_batch,
            "channels": model.input.channels,
        },
        "output": {
            "name": model.output.name,
            "dtype": model.output.dtype,
            "classes": classifier.classes,
            "operator": model.output.operator,
        },
        "metadata": metadata.read_metadata(entry.path, model).document(),
    }


def _import_error(name: str) -> str | None:
    """Why a runtime does not load, None if it does: an installed one may need a library that the system lacks."""
    if runtimes.runtime_version(name) is None:
        return "not installed"
    try:
        runtimes.import_runtime(name)
    except MissingRuntimeError as error:
        return error.reason
    return None
