"""The range of every tensor of an ONNX file over calibration images, for the quantizer of ONNX Runtime."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.export.onnx.layers import INPUT
from edgekit.export.parallel import ACTIVATIONS_BYTES, for_each
from edgekit.recipe import Calibration
from edgekit.support.memory import release_memory

AT_ONCE = 8
"""Images whose activations are in memory at once (27 MB each for MobileNetV2 at 224x224)."""

METHODS = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}


def calibrated_ranges(model: Any, images: NDArray[np.uint8], method: Calibration, types: list[str]) -> Any:
    """The ranges (``TensorsData``) of the inputs and outputs of all operators of ``types`` over ``images``.

    ``images`` uint8 (N, H, W, 3) are fed one by one. With ``minmax``, every core takes an image of its own; other
    methods keep every value of one part of the images in memory.
    """
    import onnx
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    options = {"percentile": method.percentile} if method.method == "percentile" else {}
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder, quiet_logging(), redirect_stdout(io.StringIO()):
        source, augmented = Path(folder) / "fp32.onnx", str(Path(folder) / "augmented.onnx")
        onnx.save_model(model, source)
        calibrator = create_calibrator(
            source,
            types,
            augmented_model_path=augmented,
            calibrate_method=CalibrationMethod[METHODS[method.method]],
            extra_options=options,
        )
        if method.method == "minmax":
            return _smallest_and_largest(calibrator, augmented, images)
        for start in range(0, len(images), AT_ONCE):
            calibrator.collect_data(_reader(images[start : start + AT_ONCE]))
        return calibrator.compute_data()


def _smallest_and_largest(calibrator: Any, augmented: str, images: NDArray[np.uint8]) -> Any:
    """What the calibrator's ``collect_data`` does, image after image, with all cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # As the calibrator opens it: fused operators would hide tensors, and round differently.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    calibrator.model = None  # it has been written to the file
    release_memory()
    session = onnxruntime.InferenceSession(augmented, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    own = calibrator.model_original_outputs

    def observe(image: NDArray[np.uint8]) -> list[NDArray[np.float32] | None]:
        found = session.run(None, {INPUT: np.ascontiguousarray(image[np.newaxis])})
        return [None if name in own else value for name, value in zip(names, found)]

    calibrator.infer_session = session
    calibrator.intermediate_outputs = list(for_each(observe, images, ACTIVATIONS_BYTES))
    return calibrator.compute_data()


def quantized_types() -> list[str]:
    """All operators that ONNX Runtime can quantize."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    return sorted({*QLinearOpsRegistry, *QDQRegistry})


def _reader(pixels: NDArray[np.uint8]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the base class is not typed
        def __init__(self) -> None:
            self._images = iter(pixels)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            image = next(self._images, None)
            return None if image is None else {INPUT: np.ascontiguousarray(image[np.newaxis])}

    return Reader()


@contextmanager
def quiet_logging() -> Iterator[None]:
    """Silence the quantizer's advice on the root logger to run preprocessing, which this graph does not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
