"""TFLite files with the interpreter of LiteRT or of tflite-runtime, which share one interface."""

from __future__ import annotations

from functools import partial
from typing import Any

from .failures import ModelError
from .runtime_table import Runtime
from .runtimes import Model, first_line, import_runtime, runtime_version, single_tensor
from .tensors import input_spec, output_spec


def open_model(runtime: Runtime, path: str, threads: int) -> Model:
    """Open ``path`` with batch size 1. Raises :class:`ModelError` if the runtime refuses the file."""
    interpreter_class = import_runtime(runtime.name).Interpreter
    try:
        interpreter = interpreter_class(model_path=path, num_threads=threads)
        details = single_tensor(interpreter.get_input_details(), "input", path)
        if details["shape"][0] != 1 and details["shape_signature"][0] == -1:
            interpreter.resize_tensor_input(details["index"], [1, *details["shape"][1:]])
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{runtime.name} cannot open this file: {first_line(error)}", path) from None
    details = single_tensor(interpreter.get_input_details(), "input", path)
    result = single_tensor(interpreter.get_output_details(), "output", path)
    return Model(
        runtime=runtime.name,
        version=runtime_version(runtime.name) or "unknown",
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
    """XNNPACK is the only delegate that a default interpreter applies; the operator list shows whether it did."""
    try:
        operators = {operator["op_name"] for operator in interpreter._get_ops_details()}
    except AttributeError:
        return "unknown"
    return "XNNPACK" if "DELEGATE" in operators else "none"
