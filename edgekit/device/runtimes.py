"""Open a model file with the runtimes of :data:`RUNTIMES`: set its input once, invoke it, read its output."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata as distributions
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np

from .failures import MissingRuntimeError, ModelError, OutputError
from .protocol.values import RuntimeInfo
from .runtime_table import RUNTIMES, SUFFIXES, Runtime, default_runtimes, runtimes_for
from .tensors import NO_CHOICES, Choices, InputSpec, OutputSpec


@dataclass(frozen=True)
class Model:
    """An opened file. ``invoke`` is the runtime's own call with nothing of edgekit around it."""

    runtime: str
    version: str
    delegate: str
    threads: int
    input: InputSpec
    output: OutputSpec
    set_input: Callable[[np.ndarray], None]
    invoke: Callable[[], object]
    fetch: Callable[[], np.ndarray]
    properties: dict[str, str]
    """Text metadata of an ONNX file (``metadata_props``) or a .ncnn file."""
    precision: str | None = None
    """The type in which the runtime computes the float operators, such as ``f32``, where it says so."""
    arena_bytes: int | None = None
    """The working memory that TensorFlow Lite Micro takes for the file; None with other runtimes."""
    another: Callable[[], Model] | None = None
    """A second handle on the same weights, which another thread can use at the same time. None: open the file again."""

    @property
    def runtime_info(self) -> RuntimeInfo:
        """What events say about the runtime."""
        return {
            "name": self.runtime,
            "version": self.version,
            "delegate": self.delegate,
            "precision": self.precision,
        }

    def scores(self) -> np.ndarray:
        """The output of the last invoke, dequantized, float32 (classes,). Of a batch, that of the first image.

        Raises :class:`OutputError` if it contains NaN or infinity.
        """
        stored = np.asarray(self.fetch()).reshape(-1)
        if self.input.batch > 1:
            stored = stored[: len(stored) // self.input.batch]
        values = stored.astype(np.float32)
        if self.output.scale and stored.dtype.kind in "iu":
            values = (values - np.float32(self.output.zero_point)) * np.float32(self.output.scale)
        if not np.isfinite(values).all():
            raise OutputError(f"the output is not finite: {values[:8].tolist()}")
        return values


def all_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_model(path: str, threads: int = 1, runtime: str | None = None, choices: Choices = NO_CHOICES) -> Model:
    """Open ``path`` with ``threads`` threads (0: all cores) and the named or first installed runtime.

    ``choices`` settles what the file leaves open.

    Raises :class:`ModelError` if the file is not an image classifier, :class:`MissingRuntimeError` if no runtime can
    run it.
    """
    file_format = model_format(path)
    name = runtime or default_runtime(file_format)
    if name not in RUNTIMES or file_format not in RUNTIMES[name].formats:
        others = " or ".join(choice.name for choice in runtimes_for(file_format))
        raise MissingRuntimeError(f"{name} does not run .{file_format} files; choose {others}", path)
    check_options(RUNTIMES[name], choices, path)
    opener = cast("Callable[[Runtime, str, int, Choices], Model]", companion(RUNTIMES[name].adapter).open_model)
    return opener(RUNTIMES[name], path, threads or all_cores(), choices)


def check_options(runtime: Runtime, choices: Choices, path: str) -> None:
    """Raise :class:`ModelError` for a setting that ``runtime`` does not have."""
    for name, value in choices.options:
        if value not in runtime.options.get(name, ()):
            raise ModelError(f"{runtime.name} has no setting {name}={value}", path)


def model_format(path: str) -> str:
    """``tflite``, ``onnx`` or ``ncnn``, by the file's suffix and first bytes.

    Raises :class:`ModelError` for other files.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ModelError(f"not a model file: expected the suffix {', '.join(SUFFIXES)}", path)
    try:
        with Path(path).open("rb") as stream:
            head = stream.read(8)
    except OSError as error:
        raise ModelError(f"cannot read this model file: {error.strerror}", path) from None
    if suffix == ".tflite" and head[4:8] != b"TFL3":
        raise ModelError("not a TFLite model: the file identifier TFL3 is missing", path)
    return suffix[1:]


def runtime_version(name: str) -> str | None:
    """The installed version of a runtime, or None."""
    try:
        return distributions.version(RUNTIMES[name].distribution)
    except distributions.PackageNotFoundError:
        return None


def default_runtime(file_format: str) -> str:
    """The first installed default runtime of a format. Raises :class:`MissingRuntimeError` if there is none."""
    candidates = default_runtimes(file_format)
    for runtime in candidates:
        if runtime_version(runtime.name) is not None:
            return runtime.name
    packages = " or ".join(runtime.distribution for runtime in candidates)
    raise MissingRuntimeError(f"no installed runtime runs .{file_format} files: pip install {packages}")


def import_runtime(name: str) -> Any:
    """The runtime's module. Raises :class:`MissingRuntimeError` if it is not installed or fails to load."""
    runtime = RUNTIMES[name]
    try:
        return importlib.import_module(runtime.module)
    except ImportError as error:
        raise MissingRuntimeError(f"cannot import {name} ({error}): pip install {runtime.distribution}") from None


def companion(name: str) -> ModuleType:
    """The module beside this one that an entry of the table names, whatever this package is called here."""
    return importlib.import_module(f".{name}", __package__)


def single_tensor(tensors: Any, kind: str, path: str) -> Any:
    """The one input or output of a classifier. Raises :class:`ModelError` if there are several or none."""
    if len(tensors) != 1:
        raise ModelError(f"an image classifier has exactly one {kind}; this file has {len(tensors)}", path)
    return tensors[0]


def first_line(error: Exception) -> str:
    """The first line of a runtime's message, which may be a page long."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
