"""Operator times from the C library that LiteRT's wheel contains.

LiteRT's Python interface has no profiler, but the library beside it (``libLiteRt``) has one, as C functions declared in
``litert/c/litert_profiler.h`` and ``litert_compiled_model.h`` of https://github.com/google-ai-edge/LiteRT. Their
signatures may change between versions, so versions that have not been tested are refused.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from .failures import NotOfferedError

TESTED = ("2.3.",)
"""Prefixes of the versions of ai-edge-litert whose functions and records are known to be those below."""

CPU = 1
WRITE = 1
OPERATOR, DELEGATE_OPERATOR, OPERATOR_OF_DELEGATE = 2, 4, 8


class _Event(ctypes.Structure):
    """``ProfiledEventData``; the memory fields are not used."""

    _fields_ = [
        ("tag", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_int64 * 6),
        ("index", ctypes.c_uint64),
        ("subgraph", ctypes.c_uint64),
        ("source", ctypes.c_int),
    ]


def library_path(version: str | None) -> Path:
    """The library of the installed wheel. Raises :class:`NotOfferedError` for an unknown version or build."""
    if version is None or not version.startswith(TESTED):
        raise NotOfferedError(f"operator profiles need LiteRT {TESTED[0]}x; installed: {version or 'none'}")
    spec = importlib.util.find_spec("ai_edge_litert")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else Path()
    path = folder / ("libLiteRt.dylib" if sys.platform == "darwin" else "libLiteRt.so")
    if not path.is_file():
        raise NotOfferedError(f"this build of LiteRT lacks the library that provides operator profiles ({path})")
    return path


class ProfiledModel:
    """A file opened by the library, with XNNPACK on ``threads`` threads. Nothing is freed: its process ends with it."""

    def __init__(self, library: Path, path: str, threads: int) -> None:
        self._library = ctypes.CDLL(str(library))
        environment, model, options, compiled, signature = (ctypes.c_void_p() for _ in range(5))
        self._environment, self._compiled, self._signature = environment, compiled, signature
        self._call("CreateEnvironment", 0, None, ctypes.byref(environment))
        self._call("CreateModelFromFile", environment, path.encode(), ctypes.byref(model))
        self._call("CreateOptions", ctypes.byref(options))
        self._call("SetOptionsHardwareAccelerators", options, CPU)
        self._option(options, "runtime_options_string", "enable_profiling = true\n")
        self._option(options, "xnnpack", f"num_threads = {threads}\n")
        self._call("CreateCompiledModel", environment, model, options, ctypes.byref(compiled))
        self._call("GetModelSignature", model, ctypes.c_size_t(0), ctypes.byref(signature))
        self._profiler = ctypes.c_void_p()
        self._call("CompiledModelGetProfiler", compiled, ctypes.byref(self._profiler))
        self._inputs = (ctypes.c_void_p * 1)(self._buffer("Input"))
        self._outputs = (ctypes.c_void_p * 1)(self._buffer("Output"))

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, f"LiteRt{name}", None)
        if function is None:
            raise NotOfferedError(f"this LiteRT has no function LiteRt{name}")
        function.restype = ctypes.c_int
        status = function(*arguments)
        if status != 0:
            raise NotOfferedError(f"LiteRt{name} failed with status {status}")

    def _option(self, options: ctypes.c_void_p, name: str, text: str) -> None:
        """LiteRT takes options as text and releases it with ``free``, so it must come from ``malloc``."""
        libc = ctypes.CDLL(None)
        libc.strdup.restype = ctypes.c_void_p
        payload, option = ctypes.c_void_p(libc.strdup(text.encode())), ctypes.c_void_p()
        free = ctypes.cast(libc.free, ctypes.c_void_p)
        self._call("CreateOpaqueOptions", name.encode(), payload, free, ctypes.byref(option))
        self._call("AddOpaqueOptions", options, option)

    def _buffer(self, side: str) -> int | None:
        """Memory for the first input (``side`` is ``Input``) or output (``Output``)."""
        first, tensor, wanted, buffer = ctypes.c_size_t(0), *(ctypes.c_void_p() for _ in range(3))
        self._call(f"GetSignature{side}TensorByIndex", self._signature, first, ctypes.byref(tensor))
        described = ctypes.create_string_buffer(512)  # a LiteRtRankedTensorType, only passed on
        self._call("GetRankedTensorType", tensor, described)
        self._call(f"GetCompiledModel{side}BufferRequirements", self._compiled, first, first, ctypes.byref(wanted))
        self._call(
            "CreateManagedTensorBufferFromRequirements", self._environment, described, wanted, ctypes.byref(buffer)
        )
        return buffer.value

    def set_input(self, tensor: np.ndarray) -> None:
        """Copy ``tensor``, which must have the input's shape and type."""
        buffer, size, memory = ctypes.c_void_p(self._inputs[0]), ctypes.c_size_t(), ctypes.c_void_p()
        self._call("GetTensorBufferPackedSize", buffer, ctypes.byref(size))
        if size.value != tensor.nbytes:
            raise NotOfferedError(f"the input takes {size.value} bytes, not {tensor.nbytes}")
        self._call("LockTensorBuffer", buffer, ctypes.byref(memory), WRITE)
        ctypes.memmove(memory, tensor.ctypes.data, tensor.nbytes)
        self._call("UnlockTensorBuffer", buffer)

    def invoke(self) -> None:
        one = ctypes.c_size_t(1)
        self._call("RunCompiledModel", self._compiled, ctypes.c_size_t(0), one, self._inputs, one, self._outputs)

    def profiled_run(self) -> tuple[int, list[tuple[str, str, int]]]:
        """One run: its nanoseconds, and (operator, where it ran, nanoseconds) for each operator, in order.

        The profiler's resolution is one microsecond.
        """
        self._call("ResetProfiler", self._profiler)
        self._call("StartProfiler", self._profiler)
        start = time.perf_counter_ns()
        self.invoke()
        whole = time.perf_counter_ns() - start
        self._call("StopProfiler", self._profiler)
        count = ctypes.c_int()
        self._call("GetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (_Event * count.value)()
        self._call("GetProfilerEvents", self._profiler, count, events)
        return whole, [row for row in map(_row, events) if row is not None]


def _row(event: _Event) -> tuple[str, str, int] | None:
    """None for an event that is not an operator, or that is a whole delegate."""
    name = event.tag.decode("utf-8", "replace") if event.tag else ""
    nanoseconds = 1000 * int(event.elapsed_us)
    if event.kind in (DELEGATE_OPERATOR, OPERATOR_OF_DELEGATE):
        return name, "XNNPACK", nanoseconds
    if event.kind == OPERATOR and "DELEGATE" not in name.upper():
        return name, "LiteRT", nanoseconds
    return None
