"""The runtimes that edgekit can measure with: one table for the device program, targets, bench and `edgekit list`.

To add a runtime, add an entry here and the module that its ``adapter`` names. Standard library only: this table is
read before NumPy is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Runtime:
    """A library that runs exported files of some ``formats``."""

    name: str
    formats: tuple[str, ...]
    """``tflite``, ``onnx`` or ``ncnn``: the formats of the files that it runs, which are also their suffixes."""
    module: str
    """The module to import."""
    distribution: str
    """The name of its package on PyPI."""
    summary: str
    adapter: str
    """The module beside this one whose ``open_model(runtime, path, threads, choices)`` opens a file with it."""
    profiler: str | None = None
    """The module beside this one whose ``profile(entry, threads, runs)`` times each operator, or None."""
    default: bool = True
    """Whether it runs files for which nobody chose a runtime. The results of other runtimes carry their name."""
    on_request: bool = False
    """Whether `edgekit target setup` installs it only if it is asked for, although it runs its files by default."""
    simulated: bool = False
    """Whether it runs here what is meant for another kind of machine, so that its times say nothing."""
    extra: str = "bench"
    """The optional dependencies of edgekit that contain it."""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Its settings that may change the speed but not the format: the values of each by its name, the default first.
    The adapter finds the chosen values in ``choices.options``; `edgekit bench --tune` tries them all."""


RUNTIMES: dict[str, Runtime] = {
    runtime.name: runtime
    for runtime in (
        Runtime(
            name="litert",
            formats=("tflite",),
            module="ai_edge_litert.interpreter",
            distribution="ai-edge-litert",
            summary="Google's current TFLite runtime",
            adapter="tflite_interpreter",
            profiler="litert_profiler",
            options={"xnnpack": ("on", "latest", "off")},
        ),
        Runtime(
            name="tflite-runtime",
            formats=("tflite",),
            module="tflite_runtime.interpreter",
            distribution="tflite-runtime",
            summary="the older TFLite runtime",
            adapter="tflite_interpreter",
            options={"xnnpack": ("on", "off")},
        ),
        Runtime(
            name="onnxruntime",
            formats=("onnx",),
            module="onnxruntime",
            distribution="onnxruntime",
            summary="ONNX Runtime, CPU provider",
            adapter="onnx_session",
            profiler="onnx_profiler",
            options={
                "graph": ("all", "extended", "basic"),
                "arena": ("on", "off"),
                "spinning": ("on", "off"),
            },
        ),
        Runtime(
            name="openvino",
            formats=("tflite", "onnx"),
            module="openvino",
            distribution="openvino",
            summary="OpenVINO on the CPU; fast on x86",
            adapter="openvino_model",
            default=False,
            extra="openvino",
            options={
                "precision": ("f32", "fastest"),
                "pinning": ("off", "on"),
                "hyper_threading": ("on", "off"),
                "cores": ("any", "performance"),
            },
        ),
        Runtime(
            name="ncnn",
            formats=("ncnn",),
            module="ncnn",
            distribution="ncnn",
            summary="ncnn, made for Arm CPUs",
            adapter="ncnn_model",
            on_request=True,
            extra="ncnn",
            options={
                "precision": ("f32", "fastest"),
                "winograd": ("on", "off"),
            },
        ),
        Runtime(
            name="tflm",
            formats=("tflite",),
            module="tflite_micro",
            distribution="tflite-micro",
            summary="TensorFlow Lite Micro, on this PC",
            adapter="tflite_micro_model",
            default=False,
            simulated=True,
            extra="micro",
        ),
    )
}
"""By name. Of those with ``default``, the first installed one of a format runs its files."""

FORMATS: tuple[str, ...] = tuple(dict.fromkeys(name for runtime in RUNTIMES.values() for name in runtime.formats))

USUAL_FORMATS: tuple[str, ...] = tuple(
    name
    for name in FORMATS
    if any(name in one.formats and one.default and not one.on_request for one in RUNTIMES.values())
)
"""The formats with a runtime that is installed without being asked for."""

SUFFIXES: tuple[str, ...] = tuple(f".{file_format}" for file_format in FORMATS)
"""The suffixes of model files."""


def runtimes_for(file_format: str) -> list[Runtime]:
    """The runtimes that run files of ``file_format``, in order of preference."""
    return [runtime for runtime in RUNTIMES.values() if file_format in runtime.formats]


def default_runtimes(file_format: str) -> list[Runtime]:
    """Those of them that run files for which nobody chose a runtime."""
    return [runtime for runtime in runtimes_for(file_format) if runtime.default]
