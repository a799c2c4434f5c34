"""ONNX files with ONNX Runtime's CPU execution provider."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .failures import ModelError
from .onnx_file import external_files
from .output_operator import onnx_output_operator
from .runtime_table import Runtime
from .runtimes import Model, first_line, import_runtime, runtime_version, single_tensor
from .tensors import NO_CHOICES, Choices, chosen_output, input_spec, output_spec

DTYPES = {
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}


LEVELS = {"all": "ORT_ENABLE_ALL", "extended": "ORT_ENABLE_EXTENDED", "basic": "ORT_ENABLE_BASIC"}
"""ONNX Runtime's names for the values of the setting ``graph``."""


def open_session(path: str, threads: int, profile: str | None = None, choices: Choices = NO_CHOICES) -> Any:
    """An ``InferenceSession`` with the settings that every measurement uses, and those of ``choices.options``.

    ``profile`` turns profiling on and is the prefix of the profile's file name. Raises :class:`ModelError` if ONNX
    Runtime refuses the file.
    """
    ort = import_runtime("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Worker threads may spin during a run, but not into the next model's block.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if choices.option("spinning", "on") == "off":
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, LEVELS[choices.option("graph", "all")])
    options.enable_cpu_mem_arena = choices.option("arena", "on") == "on"
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions have no other common base
        raise ModelError(f"onnxruntime cannot open this file: {first_line(error)}", path) from None


def open_model(runtime: Runtime, path: str, threads: int, choices: Choices = NO_CHOICES) -> Model:
    """Open ``path``. Raises :class:`ModelError` if ONNX Runtime refuses the file."""
    external_files(path)  # its error says more than the runtime's
    return _bound(runtime, path, threads, choices, open_session(path, threads, choices=choices))


def _bound(runtime: Runtime, path: str, threads: int, choices: Choices, session: Any) -> Model:
    """A model with an input and an output of its own; a session may run in several threads at once."""
    ort = import_runtime(runtime.name)
    feed = single_tensor(session.get_inputs(), "input", path)
    results = session.get_outputs()
    result = results[chosen_output([one.name for one in results], choices, path)]
    spec = input_spec(feed.name, DTYPES.get(feed.type), feed.shape, None, path, choices)
    binding = session.io_binding()
    binding.bind_output(result.name, "cpu")

    bound: list[Any] = []  # an OrtValue on the CPU borrows NumPy's memory: both must outlive the binding

    def set_input(tensor: np.ndarray) -> None:
        bound[:] = [tensor, ort.OrtValue.ortvalue_from_numpy(tensor)]
        binding.bind_ortvalue_input(feed.name, bound[1])

    def fetch() -> np.ndarray:
        return np.asarray(binding.get_outputs()[0].numpy())

    operator = onnx_output_operator(path, result.name)
    return Model(
        runtime=runtime.name,
        version=runtime_version(runtime.name) or ort.__version__,
        delegate=session.get_providers()[0],
        threads=threads,
        input=spec,
        output=output_spec(result.name, DTYPES.get(result.type), result.shape, None, path, spec.batch, operator),
        set_input=set_input,
        invoke=partial(session.run_with_iobinding, binding),
        fetch=fetch,
        properties=dict(session.get_modelmeta().custom_metadata_map),
        another=partial(_bound, runtime, path, threads, choices, session),
    )
