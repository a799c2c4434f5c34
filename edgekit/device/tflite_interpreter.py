"""TFLite files with the interpreter of LiteRT or of tflite-runtime, which share one interface."""

from __future__ import annotations

from functools import partial
from typing import Any

from .failures import ModelError
from .output_operator import tflite_output_operator
from .runtime_table import Runtime
from .runtimes import Model, first_line, import_runtime, runtime_version, single_tensor
from .tensors import NO_CHOICES, Choices, chosen_output, input_spec, output_spec


def open_model(runtime: Runtime, path: str, threads: int, choices: Choices = NO_CHOICES) -> Model:
    """Open ``path``; a dynamic batch becomes 1. Raises :class:`ModelError` if the runtime refuses the file."""
    module = import_runtime(runtime.name)
    try:
        interpreter = module.Interpreter(model_path=path, num_threads=threads, **_arguments(module, choices))
    except (ValueError, RuntimeError, TypeError) as error:
        raise _refused(runtime, path, error) from None
    details = single_tensor(interpreter.get_input_details(), "input", path)
    # Older files have no signature of the shape, and nothing dynamic in it.
    open_shape = list(details.get("shape_signature", ())) or list(details["shape"])
    spec = input_spec(details["name"], details["dtype"], open_shape, details["quantization"], path, choices)
    try:
        if list(details["shape"]) != list(spec.shape):
            interpreter.resize_tensor_input(details["index"], list(spec.shape))
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise _refused(runtime, path, error) from None
    results = interpreter.get_output_details()
    result = results[chosen_output([one["name"] for one in results], choices, path)]
    operator = tflite_output_operator(path, int(result["index"]))
    shape, quantization = list(result["shape"]), result["quantization"]
    return Model(
        runtime=runtime.name,
        version=runtime_version(runtime.name) or "unknown",
        delegate=_delegate(interpreter),
        threads=threads,
        input=spec,
        output=output_spec(result["name"], result["dtype"], shape, quantization, path, spec.batch, operator),
        set_input=partial(interpreter.set_tensor, details["index"]),
        invoke=interpreter.invoke,
        fetch=partial(interpreter.get_tensor, result["index"]),
        properties={},
    )


def _arguments(module: Any, choices: Choices) -> dict[str, Any]:
    """What ``choices.options`` mean to the interpreter; nothing for the defaults."""
    xnnpack = choices.option("xnnpack", "on")
    if xnnpack == "off":
        return {"experimental_op_resolver_type": module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
    return {"experimental_default_delegate_latest_features": True} if xnnpack == "latest" else {}


def _refused(runtime: Runtime, path: str, error: Exception) -> ModelError:
    return ModelError(f"{runtime.name} cannot open this file: {first_line(error)}", path)


def _delegate(interpreter: Any) -> str:
    """XNNPACK is the only delegate that a default interpreter applies; the operator list shows whether it did."""
    try:
        operators = {operator["op_name"] for operator in interpreter._get_ops_details()}
    except AttributeError:
        return "unknown"
    return "XNNPACK" if "DELEGATE" in operators else "none"
