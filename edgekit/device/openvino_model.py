"""ONNX and TFLite files with OpenVINO's CPU device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .failures import ModelError
from .onnx_file import external_files, onnx_facts
from .output_operator import onnx_output_operator, tflite_output_operator
from .runtime_table import Runtime
from .runtimes import Model, first_line, import_runtime, model_format, runtime_version, single_tensor
from .tensors import NO_CHOICES, Choices, InputSpec, chosen_output, input_spec, output_spec
from .tflite_file import inputs_and_outputs

DEVICE = "CPU"

CORES = {"any": "ANY_CORE", "performance": "PCORE_ONLY"}
"""OpenVINO's names for the values of the setting ``cores``, which matters on processors with two kinds of cores."""

PRECISION = "f32"
"""The type of float computation. Left to itself, OpenVINO computes float32 files in bfloat16 or float16 on processors
that are faster with these, and its predictions then differ from those of the file."""


@dataclass(frozen=True)
class Compiled:
    """A compiled file, and which of its outputs has the scores."""

    model: Any
    input: InputSpec
    output: int
    names: list[str]
    """Of the outputs, as the file calls them."""

    @property
    def precision(self) -> str:
        """The type in which the float operators really compute, such as ``f32``."""
        return str(self.model.get_property("INFERENCE_PRECISION_HINT").to_string())


def settings(threads: int, choices: Choices = NO_CHOICES) -> dict[str, Any]:
    """The settings that every measurement uses, and those of ``choices.options``.

    One run at a time, on as many threads as were asked for. By default, hyper-threads are used, and pinning is left to
    edgekit, which pins the process and so treats all runtimes alike. ``fastest`` leaves the precision to OpenVINO.
    """
    found = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_HYPER_THREADING": choices.option("hyper_threading", "on") == "on",
        "ENABLE_CPU_PINNING": choices.option("pinning", "off") == "on",
        "SCHEDULING_CORE_TYPE": CORES[choices.option("cores", "any")],
    }
    if choices.option("precision", PRECISION) == PRECISION:
        found["INFERENCE_PRECISION_HINT"] = PRECISION
    return found


def open_model(runtime: Runtime, path: str, threads: int, choices: Choices = NO_CHOICES) -> Model:
    """Open ``path``; a dynamic batch becomes 1. Raises :class:`ModelError` if OpenVINO refuses the file."""
    compiled = compile_file(path, threads, choices)
    request = compiled.model.create_infer_request()
    tensor_class = import_runtime(runtime.name).Tensor
    result = compiled.model.outputs[compiled.output]
    shape, kind = _shape(result), _dtype(result)
    quantization, operator = None, onnx_output_operator(path, compiled.names[compiled.output])
    if model_format(path) == "tflite":
        stored = inputs_and_outputs(path)[1][compiled.output]
        quantization, operator = (stored.scale, stored.zero_point), tflite_output_operator(path, stored.number)
    name = compiled.names[compiled.output]

    bound: list[np.ndarray] = []  # the request borrows NumPy's memory and does not keep it alive

    def set_input(tensor: np.ndarray) -> None:
        bound[:] = [np.ascontiguousarray(tensor)]
        request.set_input_tensor(tensor_class(bound[0], shared_memory=True))

    def fetch() -> np.ndarray:
        return np.array(request.get_output_tensor(compiled.output).data)

    return Model(
        runtime=runtime.name,
        version=runtime_version(runtime.name) or "unknown",
        delegate=DEVICE,
        threads=threads,
        input=compiled.input,
        output=output_spec(name, kind, shape, quantization, path, compiled.input.batch, operator),
        set_input=set_input,
        invoke=partial(request.infer, share_outputs=True),
        fetch=fetch,
        properties=onnx_facts(path).properties if model_format(path) == "onnx" else {},
        precision=compiled.precision,
    )


def compile_file(path: str, threads: int, choices: Choices) -> Compiled:
    """Read and compile ``path``. Raises :class:`ModelError` if OpenVINO refuses the file."""
    core = import_runtime("openvino").Core()
    quantization = None
    if model_format(path) == "tflite":
        stored, results = inputs_and_outputs(path)
        quantization = (stored[0].scale, stored[0].zero_point) if len(stored) == 1 else None
        given, known = [tensor.name for tensor in stored], [tensor.name for tensor in results]
    else:
        external_files(path)  # its error says more than the runtime's
        facts = onnx_facts(path)
        given, known = [], list(facts.producers)
    try:
        model = core.read_model(path)
    except RuntimeError as error:
        raise _refused(path, error) from None
    feed = single_tensor(model.inputs, "input", path)
    names = [_name(result, known) for result in model.outputs]
    chosen = chosen_output(names, choices, path)
    spec = input_spec(_name(feed, given), _dtype(feed), _shape(feed), quantization, path, choices)
    try:
        if _shape(feed) != list(spec.shape):
            model.reshape(list(spec.shape))
        compiled = core.compile_model(model, DEVICE, settings(threads, choices))
    except RuntimeError as error:
        raise _refused(path, error) from None
    return Compiled(compiled, spec, chosen, names)


def _name(port: Any, known: list[str]) -> str:
    """The name of an input or output, which may have several: one that the file has, if there is one."""
    names = sorted(port.get_names())
    return next((name for name in known if name in names), names[0] if names else port.get_node().get_friendly_name())


def _shape(port: Any) -> list[int]:
    """Its shape, with -1 for what is dynamic."""
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return []
    return [-1 if side.is_dynamic else side.get_length() for side in shape]


def _dtype(port: Any) -> Any:
    try:
        return port.get_element_type().to_dtype()
    except RuntimeError:  # a type that NumPy lacks
        return None


def _refused(path: str, error: Exception) -> ModelError:
    """The line of OpenVINO's message that tells most: it begins with places in the source code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    details = [line[3:] for line in lines if line.startswith("-- ")]
    others = [line for line in lines if not line.startswith(("Exception from", "Check '", "FrontEnd API failed"))]
    reason = next(iter(details or others), first_line(error)).rstrip(":")
    return ModelError(f"openvino cannot open this file: {reason}", path)
