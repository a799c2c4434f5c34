"""TFLite files with TensorFlow Lite Micro, the runtime of microcontrollers, in its build for this machine.

Predictions and the size of its arena are those of a microcontroller; times are not, because this build has the
portable kernels only.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from .failures import ModelError
from .output_operator import tflite_output_operator
from .runtime_table import Runtime
from .runtimes import Model, import_runtime, runtime_version, single_tensor
from .tensors import NO_CHOICES, Choices, chosen_output, input_spec, output_spec
from .tflite_file import inputs_and_outputs

KERNELS = "portable kernels"

LARGEST_ARENA_BYTES = 256_000_000
"""Far more than any classifier takes; what it really takes is measured. Memory that is not touched costs nothing."""

ARENA = re.compile(r"Arena allocation total (\d+) bytes")


def open_model(runtime: Runtime, path: str, threads: int, choices: Choices = NO_CHOICES) -> Model:  # noqa: ARG001
    """Open ``path``, on one thread whatever ``threads`` says: a microcontroller has no others.

    Raises :class:`ModelError` if TensorFlow Lite Micro refuses the file.
    """
    given, results = inputs_and_outputs(path)
    feed = single_tensor(given, "input", path)
    chosen = chosen_output([one.name for one in results], choices, path)
    interpreter_class = import_runtime(runtime.name).runtime.Interpreter
    with _standard_error() as said:
        try:
            interpreter = interpreter_class.from_file(path, arena_size=LARGEST_ARENA_BYTES)
            source = interpreter.get_input_details(0)
            # Some operators say only when they run that they lack a kernel for a type.
            interpreter.set_input(np.zeros(source["shape"], source["dtype"]), 0)
            interpreter.invoke()
        except Exception as error:  # noqa: BLE001 - whatever its flatbuffer reader raises on a damaged file
            raise ModelError(f"tflm cannot run this file: {_reason(said(), error)}", path) from None
        interpreter.print_allocations()
        arena = ARENA.search(said())
    result = interpreter.get_output_details(chosen)
    quantization = (feed.scale, feed.zero_point)
    spec = input_spec(feed.name, source["dtype"], list(source["shape"]), quantization, path, choices)
    stored = results[chosen]
    operator = tflite_output_operator(path, stored.number)
    scale = (stored.scale, stored.zero_point)
    return Model(
        runtime=runtime.name,
        version=runtime_version(runtime.name) or "unknown",
        delegate=KERNELS,
        threads=1,
        input=spec,
        output=output_spec(stored.name, result["dtype"], list(result["shape"]), scale, path, spec.batch, operator),
        # A run may use the memory of its input for something else: each run needs its input set again.
        set_input=lambda tensor: interpreter.set_input(tensor, 0),
        invoke=interpreter.invoke,
        fetch=partial(interpreter.get_output, chosen),
        properties={},
        arena_bytes=int(arena.group(1)) if arena else None,
    )


@contextmanager
def _standard_error() -> Iterator[Any]:
    """What the library writes on the standard error of the process meanwhile, which it has no other way to say."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as stream:

        def said() -> str:
            stream.seek(0)
            return stream.read().decode("utf-8", errors="replace")

        os.dup2(stream.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _reason(said: str, error: Exception) -> str:
    """The first line of its log; the exception says only that it failed."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[0] if lines else str(error).partition("\n")[0] or type(error).__name__
