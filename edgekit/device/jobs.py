"""The job that a host sends: parsing it, and the models that it names."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, cast

from .failures import DeviceError
from .onnx_file import check_location
from .protocol.jobs import ModelEntry
from .protocol.verbs import Given
from .runtimes import Model, all_cores, open_model
from .scaling import Scaling, parse_scaling
from .tensors import NO_CHOICES, Choices


@dataclass(frozen=True)
class JobModel:
    """One file to measure. ``scaling`` is None if the input takes pixels or its range does not matter."""

    key: str
    path: str
    runtime: str | None = None
    scaling: Scaling | None = None
    resize: str = "stretch"
    pixel_range: str = "full"
    resample: str = "bilinear"
    activation: str = "auto"
    """What makes probabilities of the output: ``softmax``, ``sigmoid`` or ``none``; ``auto``: see the classifier."""
    choices: Choices = NO_CHOICES
    files: tuple[tuple[str, str], ...] = ()
    """Location and path of each file with external data; none where they lie beside the model as they should."""
    images: tuple[str, ...] = ()
    """A few image files: the input while measuring latency, and what decoding is timed on."""
    threads: int | None = None
    """How many threads it runs with, where that is not the number of the job."""
    pin: bool = False
    """Keep it to as many cores as it has threads."""
    limit_ns: int | None = None
    """Give it up if a run takes longer; None: however long it takes."""

    def open(self, threads: int) -> Model:
        with self.assembled() as path:
            try:
                return open_model(path, threads, self.runtime, self.choices)
            except DeviceError as error:
                if error.where == path:
                    error.where = self.path
                raise

    @contextmanager
    def assembled(self) -> Iterator[str]:
        """The path of the model with its external data beside it, while a runtime opens it."""
        if not self.files:
            yield self.path
            return
        path = Path(self.path)
        folder = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            for location, file in (*self.files, (path.name, self.path)):
                check_location(location, self.path)
                place = folder / location
                place.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(file, place)
                except OSError:  # a file system without links
                    shutil.copyfile(file, place)
            yield str(folder / path.name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


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
    models = [model_entry(entry) for entry in settings.get("models", [])]
    if len({model.key for model in models}) != len(models):
        raise DeviceError("two models in the job have the same key")
    return Job(settings, models, int(settings.get("threads", 1)) or all_cores())


def entry_key(entry: ModelEntry) -> str:
    """The key of a model in a job: its path if it has no other."""
    return str(entry.get("key", entry["path"]))


def model_entry(entry: object) -> JobModel:
    """One model of a job. Raises :class:`DeviceError` if it has no path."""
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
        resample=str(given.get("filter") or "bilinear"),
        activation=str(given.get("activation") or "auto"),
        choices=_choices(given),
        files=tuple((str(location), str(path)) for location, path in (given.get("files") or {}).items()),
        images=tuple(str(path) for path in given.get("images", [])),
        threads=None if given.get("threads") is None else int(given["threads"] or 0) or all_cores(),
        pin=bool(given.get("pin")),
        limit_ns=given.get("limit_ns"),
    )


def _choices(given: ModelEntry) -> Choices:
    size, output = given.get("image_size"), given.get("output")
    height, width = (int(side) for side in size) if size else (0, 0)
    options = tuple(sorted((str(name), str(value)) for name, value in (given.get("options") or {}).items()))
    return Choices((height, width) if size else None, None if output is None else str(output), options)
