"""One small interface over the runtimes a device may have: open a file, set its input once, invoke, read."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata as distributions
from pathlib import Path
from typing import Any

import numpy as np

from .failures import MissingRuntimeError, ModelError, OutputError
from .tensors import InputSpec, OutputSpec, input_spec, output_spec


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
    invoke: Callable[[], Any]
    fetch: Callable[[], np.ndarray]
    properties: dict[str, str]
    """Text metadata that only the runtime can read (ONNX ``metadata_props``)."""

    def scores(self) -> np.ndarray:
        """The output of the last invoke, dequantized, float32 (classes,).

        Raises :class:`OutputError` where it holds NaN or infinity.
        """
        stored = np.asarray(self.fetch()).reshape(-1)
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


def open_model(path: str, threads: int = 1, runtime: str | None = None) -> Model:
    """Open ``path`` with ``threads`` threads (0: all cores) and the named or first available runtime.

    Raises :class:`ModelError` where the file is no classifier, :class:`MissingRuntimeError` where nothing can run it.
    """
    file_format = model_format(path)
    name = runtime or default_runtime(file_format)
    if name not in OPENERS or FORMAT_OF[name] != file_format:
        choices = [r for r, f in FORMAT_OF.items() if f == file_format]
        raise MissingRuntimeError(f"{name} does not run .{file_format} files; choose {' or '.join(choices)}", path)
    return OPENERS[name](path, threads or all_cores())


def model_format(path: str) -> str:
    """``tflite`` or ``onnx``, by the file's suffix and first bytes."""
    suffix = Path(path).suffix.lower()
    if suffix not in {".tflite", ".onnx"}:
        raise ModelError("a model file ends in .tflite or .onnx", path)
    try:
        with Path(path).open("rb") as stream:
            head = stream.read(8)
    except OSError as error:
        raise ModelError(f"this model file cannot be read: {error.strerror}", path) from None
    if suffix == ".tflite" and head[4:8] != b"TFL3":
        raise ModelError("this is not a TFLite model (its first bytes are not those of one)", path)
    return suffix[1:]


FORMAT_OF = {"litert": "tflite", "tflite-runtime": "tflite", "onnxruntime": "onnx"}
MODULE_OF = {
    "litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
    "onnxruntime": "onnxruntime",
}
DISTRIBUTION_OF = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime", "onnxruntime": "onnxruntime"}


def runtime_version(name: str) -> str | None:
    """The installed version of a runtime, or None."""
    try:
        return distributions.version(DISTRIBUTION_OF[name])
    except distributions.PackageNotFoundError:
        return None


def default_runtime(file_format: str) -> str:
    """The first installed runtime for a format; :class:`MissingRuntimeError` where there is none."""
    names = [name for name, runs in FORMAT_OF.items() if runs == file_format]
    for name in names:
        if runtime_version(name) is not None:
            return name
    packages = " or ".join(DISTRIBUTION_OF[name] for name in names)
    raise MissingRuntimeError(f"nothing here runs .{file_format} files: pip install {packages}")


def import_runtime(name: str) -> Any:
    """The runtime's module; :class:`MissingRuntimeError` where it is not installed or does not load."""
    try:
        return importlib.import_module(MODULE_OF[name])
    except ImportError as error:
        raise MissingRuntimeError(f"{name} cannot be imported ({error}): pip install {DISTRIBUTION_OF[name]}") from None


def _open_tflite(name: str, path: str, threads: int) -> Model:
    interpreter_class = import_runtime(name).Interpreter
    try:
        interpreter = interpreter_class(model_path=path, num_threads=threads)
        details = _one(interpreter.get_input_details(), "input", path)
        if details["shape"][0] != 1 and details["shape_signature"][0] == -1:
            interpreter.resize_tensor_input(details["index"], [1, *details["shape"][1:]])
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{name} cannot open this file: {_first_line(error)}", path) from None
    details = _one(interpreter.get_input_details(), "input", path)
    result = _one(interpreter.get_output_details(), "output", path)
    return Model(
        runtime=name,
        version=runtime_version(name) or "unknown",
        delegate=_delegate(interpreter),
        threads=threads,
        input=input_spec(details["name"], details["dtype"], list(details["shape"]), details["quantization"], path),
        output=output_spec(result["name"], result["dtype"], list(result["shape"]), result["quantization"], path),
        set_input=partial(interpreter.set_tensor, details["index"]),
        invoke=interpreter.invoke,
        fetch=partial(interpreter.get_tensor, result["index"]),
        properties={},
    )


def _delegate(interpreter: Any) -> str:
    """XNNPACK is the only delegate a default interpreter takes; whether it did shows in the operator list."""
    try:
        operators = {operator["op_name"] for operator in interpreter._get_ops_details()}
    except AttributeError:
        return "unknown"
    return "XNNPACK" if "DELEGATE" in operators else "none"


_ORT_TYPES = {
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}


def onnx_session(path: str, threads: int, profile: str | None = None) -> Any:
    """An ``InferenceSession`` as everything here is measured with; ``profile``: beginning of the profile's file name.

    Raises :class:`ModelError` where the file cannot be opened.
    """
    ort = import_runtime("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Worker threads may spin inside a run, but not on into the block of the next model.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no other common base
        raise ModelError(f"onnxruntime cannot open this file: {_first_line(error)}", path) from None


def _open_onnx(path: str, threads: int) -> Model:
    ort = import_runtime("onnxruntime")
    session = onnx_session(path, threads)
    feed = _one(session.get_inputs(), "input", path)
    result = _one(session.get_outputs(), "output", path)
    spec = input_spec(feed.name, _ORT_TYPES.get(feed.type), feed.shape, None, path)
    binding = session.io_binding()
    binding.bind_output(result.name, "cpu")

    bound: list[Any] = []  # an OrtValue on the CPU borrows numpy's memory: both must outlive the binding

    def set_input(tensor: np.ndarray) -> None:
        bound[:] = [tensor, ort.OrtValue.ortvalue_from_numpy(tensor)]
        binding.bind_ortvalue_input(feed.name, bound[1])

    def fetch() -> np.ndarray:
        return np.asarray(binding.get_outputs()[0].numpy())

    return Model(
        runtime="onnxruntime",
        version=runtime_version("onnxruntime") or ort.__version__,
        delegate=session.get_providers()[0],
        threads=threads,
        input=spec,
        output=output_spec(result.name, _ORT_TYPES.get(result.type), result.shape, None, path),
        set_input=set_input,
        invoke=partial(session.run_with_iobinding, binding),
        fetch=fetch,
        properties=dict(session.get_modelmeta().custom_metadata_map),
    )


OPENERS: dict[str, Callable[[str, int], Model]] = {
    "litert": partial(_open_tflite, "litert"),
    "tflite-runtime": partial(_open_tflite, "tflite-runtime"),
    "onnxruntime": _open_onnx,
}


def _one(tensors: Any, kind: str, path: str) -> Any:
    if len(tensors) != 1:
        raise ModelError(f"an image classifier has one {kind}; this file has {len(tensors)}", path)
    return tensors[0]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
