"""``.ncnn`` files with ncnn's CPU kernels."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .failures import ModelError
from .ncnn_file import INPUT, OUTPUT, NcnnModel, read_ncnn, weights_file
from .output_operator import KINDS
from .runtime_table import Runtime
from .runtimes import Model, import_runtime, runtime_version
from .tensors import NO_CHOICES, Choices, chosen_output, input_spec, output_spec

KERNELS = "ncnn kernels"

PRECISION = "f32"
"""The type of float computation. Left to itself, ncnn computes in float16 on Arm processors that can."""

NARROW = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage")
"""ncnn's options for computing in less than 32 bits."""


def open_model(runtime: Runtime, path: str, threads: int, choices: Choices = NO_CHOICES) -> Model:
    """Open ``path``. Raises :class:`ModelError` if it is damaged, or if ncnn refuses it."""
    stored = read_ncnn(path)
    net = import_runtime(runtime.name).Net()
    net.opt.num_threads = threads
    net.opt.use_winograd_convolution = choices.option("winograd", "on") == "on"
    if choices.option("precision", PRECISION) == PRECISION:
        for name in NARROW:
            setattr(net.opt, name, False)
    # ncnn says what is wrong on the standard error of the process, and goes on.
    if net.load_param_mem(stored.layers):
        raise ModelError("ncnn cannot open this file: it does not know a layer, or its layers are damaged", path)
    if {INPUT, OUTPUT} - {*net.input_names(), *net.output_names()}:
        raise ModelError(f"ncnn cannot run this file: it needs an input {INPUT!r} and an output {OUTPUT!r}", path)
    with weights_file(stored) as weights:
        if net.load_model(weights):
            raise ModelError("ncnn cannot open this file: its weights do not fit its layers", path)
    return _bound(runtime, path, threads, choices, stored, net)


def _bound(runtime: Runtime, path: str, threads: int, choices: Choices, stored: NcnnModel, net: Any) -> Model:
    """A model with an input and an output of its own; a network may run in several threads at once."""
    ncnn = import_runtime(runtime.name)
    side = stored.image_size
    chosen_output([OUTPUT], choices, path)
    spec = input_spec(INPUT, np.uint8, [1, side, side, 3], None, path, choices)
    kept: list[Any] = []  # the image, and the result of the last run
    pixels_to_mat = partial(ncnn.Mat.from_pixels, type=ncnn.Mat.PixelType.PIXEL_RGB, w=side, h=side)

    def set_input(tensor: np.ndarray) -> None:
        kept[:] = [np.ascontiguousarray(tensor).reshape(side, side, 3), None]

    def invoke() -> None:
        # As an application does it, with the conversion of the pixels to floats: files of other formats contain it.
        extractor = net.create_extractor()
        extractor.input(INPUT, pixels_to_mat(kept[0]))
        kept[1] = extractor.extract(OUTPUT)[1]

    def fetch() -> np.ndarray:
        return np.array(kept[1], np.float32).reshape(1, -1)

    return Model(
        runtime=runtime.name,
        version=runtime_version(runtime.name) or "unknown",
        delegate=KERNELS,
        threads=threads,
        input=spec,
        output=output_spec(
            OUTPUT, np.float32, [1, stored.classes], None, path, spec.batch, KINDS.get(stored.last_layer, "")
        ),
        set_input=set_input,
        invoke=invoke,
        fetch=fetch,
        properties=stored.properties,
        precision=_precision(ncnn, choices),
        another=partial(_bound, runtime, path, threads, choices, stored, net),
    )


def _precision(ncnn: Any, choices: Choices) -> str:
    """The type in which the float operators compute."""
    if choices.option("precision", PRECISION) == PRECISION or not ncnn.cpu_support_arm_asimdhp():
        return PRECISION
    return "f16"
