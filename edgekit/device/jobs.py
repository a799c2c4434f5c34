"""The JSON job a host gives, and the JSON lines it gets back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import images
from .failures import DeviceError, ModelError, PictureError
from .runtimes import Model, all_cores, open_model
from .scaling import Scaling, parse_scaling
from .tensors import are_probabilities, softmax

Emit = Callable[..., None]
"""``emit(event, **values)`` writes one JSON line at once."""


@dataclass(frozen=True)
class JobModel:
    """One file to measure. ``scaling`` None: the input takes pixels, or its range does not matter."""

    key: str
    path: str
    runtime: str | None
    scaling: Scaling | None
    resize: str
    activation: str
    """``none``: the output is probabilities; ``auto``: softmax is applied where it is not."""
    images: tuple[str, ...] = ()
    """A few image files: the input while measuring latency, and what decoding is timed on."""

    def open(self, threads: int) -> Model:
        return open_model(self.path, threads, self.runtime)


@dataclass(frozen=True)
class Job:
    """What every verb reads; verbs take their own keys from ``raw``."""

    raw: dict[str, Any]
    models: list[JobModel]
    threads: int

    def model(self, key: str) -> JobModel:
        for model in self.models:
            if model.key == key:
                return model
        raise DeviceError(f"the job names no model {key!r}")


def read_job(text: str) -> Job:
    """Parse a job; :class:`DeviceError` where it is not one."""
    try:
        raw = json.loads(text or "{}")
    except ValueError as error:
        raise DeviceError(f"the job is not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise DeviceError("the job is not a JSON object")
    models = [_job_model(entry) for entry in raw.get("models", [])]
    if len({model.key for model in models}) != len(models):
        raise DeviceError("two models of the job have the same key")
    return Job(raw, models, int(raw.get("threads", 1)) or all_cores())


def _job_model(entry: dict[str, Any]) -> JobModel:
    if not isinstance(entry, dict) or "path" not in entry:
        raise DeviceError("every model of a job has a path")
    scaling = entry.get("scaling")
    return JobModel(
        key=str(entry.get("key", entry["path"])),
        path=str(entry["path"]),
        runtime=entry.get("runtime"),
        scaling=None if scaling is None else parse_scaling(scaling),
        resize=str(entry.get("resize") or "stretch"),
        activation=str(entry.get("activation") or "auto"),
        images=tuple(str(path) for path in entry.get("images", [])),
    )


class Classifier:
    """An opened model that takes image files and gives probabilities (classes,)."""

    def __init__(self, entry: JobModel, model: Model) -> None:
        self.entry = entry
        self.model = model
        if model.input.height != model.input.width:
            raise ModelError(
                f"images are made square; this model takes {model.input.height}x{model.input.width}", entry.path
            )
        self._softmax: bool | None = False if entry.activation == "none" else None

    @property
    def geometry(self) -> tuple[int, str]:
        """Side in pixels and kind of resizing: models that share it see the same pixels."""
        return self.model.input.height, self.entry.resize

    def tensor(self, pixels: Any) -> Any:
        """The input tensor of ``pixels`` uint8 (H, W, 3)."""
        if self.model.input.needs_scaling and self.entry.scaling is None:
            raise ModelError("this model takes floats and does not say how pixels are scaled", self.entry.path)
        return self.model.input.prepare(pixels, self.entry.scaling)

    def classify(self, pixels: Any) -> Any:
        """float32 (classes,) of ``pixels`` uint8 (H, W, 3)."""
        self.model.set_input(self.tensor(pixels))
        self.model.invoke()
        return self.probabilities()

    def probabilities(self) -> Any:
        """The last result as probabilities; whether the file gives logits is seen at its first result."""
        scores = self.model.scores()
        if self._softmax is None:
            self._softmax = not are_probabilities(scores)
        return softmax(scores) if self._softmax else scores

    @property
    def activation(self) -> str:
        """What was done to the output."""
        return "softmax" if self._softmax else "none"


def load_pixels(path: str, geometry: tuple[int, str]) -> Any:
    """The pixels of an image file, uint8 (side, side, 3); :class:`PictureError` names the file."""
    try:
        return images.load_image(path, geometry[0], geometry[1])
    except images.ImageError as error:
        raise PictureError(error.reason, path) from None
    except OSError as error:
        raise PictureError(error.strerror or str(error), path) from None
