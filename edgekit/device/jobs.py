"""The job that a host sends: parsing it, and the models that it names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Generic, cast

from .failures import DeviceError
from .protocol.jobs import ModelEntry
from .protocol.verbs import Given
from .runtimes import Model, all_cores, open_model
from .scaling import Scaling, parse_scaling


@dataclass(frozen=True)
class JobModel:
    """One file to measure. ``scaling`` is None if the input takes pixels or its range does not matter."""

    key: str
    path: str
    runtime: str | None = None
    scaling: Scaling | None = None
    resize: str = "stretch"
    pixel_range: str = "full"
    activation: str = "auto"
    """``none``: the output is probabilities; ``auto``: apply softmax unless it is."""
    images: tuple[str, ...] = ()
    """A few image files: the input while measuring latency, and what decoding is timed on."""

    def open(self, threads: int) -> Model:
        return open_model(self.path, threads, self.runtime)


@dataclass(frozen=True)
class Job(Generic[Given]):
    """A job of any verb. ``settings`` is the job itself, for the keys that belong to one verb only."""

    settings: Given
    models: list[JobModel]
    threads: int

    def model(self, key: str) -> JobModel:
        for model in self.models:
            if model.key == key:
                return model
        raise DeviceError(f"the job contains no model {key!r}")

    def only_model(self, purpose: str) -> JobModel:
        """The one model of a job that needs a process of its own."""
        if len(self.models) != 1:
            raise DeviceError(f"{purpose} needs exactly one model in a fresh process, not {len(self.models)}")
        return self.models[0]


def read_job(text: str) -> Job[Any]:
    """Parse a job. Raises :class:`DeviceError` if it is not one."""
    try:
        settings = json.loads(text or "{}")
    except ValueError as error:
        raise DeviceError(f"the job is not valid JSON: {error}") from None
    if not isinstance(settings, dict):
        raise DeviceError("the job is not a JSON object")
    models = [_job_model(entry) for entry in settings.get("models", [])]
    if len({model.key for model in models}) != len(models):
        raise DeviceError("two models in the job have the same key")
    return Job(settings, models, int(settings.get("threads", 1)) or all_cores())


def entry_key(entry: ModelEntry) -> str:
    """The key of a model in a job: its path if it has no other."""
    return str(entry.get("key", entry["path"]))


def _job_model(entry: object) -> JobModel:
    if not isinstance(entry, dict) or "path" not in entry:
        raise DeviceError("each model in a job needs a path")
    given = cast("ModelEntry", entry)
    scaling = given.get("scaling")
    return JobModel(
        key=entry_key(given),
        path=str(given["path"]),
        runtime=given.get("runtime"),
        scaling=None if scaling is None else parse_scaling(scaling),
        resize=str(given.get("resize") or "stretch"),
        pixel_range=str(given.get("range") or "full"),
        activation=str(given.get("activation") or "auto"),
        images=tuple(str(path) for path in given.get("images", [])),
    )
