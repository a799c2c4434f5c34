"""ONNX files: fp32 written from the Keras layers, int8 by ONNX Runtime's static quantization."""

from __future__ import annotations

import io
import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit import __version__
from edgekit.export.check.operators import OperatorTable, onnx_operators
from edgekit.export.formats import ActivationRange, FileFacts, installed_version, signature
from edgekit.export.head_folding import fold_head
from edgekit.export.network import TrainedNetwork
from edgekit.export.onnx.activations import float_activations, onnx_ranges
from edgekit.export.onnx.layers import INPUT, OPSET, build_onnx
from edgekit.recipe import Export

SCALING = "scaling"
"""The layer in front of the backbone; its few numbers stay in float."""

LEFT_AS_FLOAT = ("Transpose", "Cast", "Softmax")
"""Moving bytes needs no quantization, and a softmax of 8-bit probabilities would lose the small ones."""

AT_ONCE = 8
"""Calibration images whose activations are in memory together (27 MB each for MobileNetV2 at 224x224)."""


class OnnxMaker:
    """See :class:`edgekit.export.formats.QuantizingMaker`."""

    def __init__(
        self, network: TrainedNetwork, calibration: NDArray[np.uint8], facts: FileFacts, settings: Export
    ) -> None:
        self._network = network
        self._calibration = calibration
        self._facts = facts
        self._settings = settings

    def make(self, scheme: str) -> bytes:
        """The file of ``scheme``: ``fp32``, ``fp16``, ``dynamic``, ``int8`` or ``int8-tflite``."""
        made = {
            "fp32": lambda: self._float32,
            "fp16": self._float16,
            "dynamic": self._dynamic,
            "int8": self._int8,
            "int8-tflite": self._int8_tflite,
        }
        return self._finished(made[scheme]())

    def _finished(self, model: Any) -> bytes:
        import onnx
        from onnxruntime.quantization.onnx_model import ONNXModel

        ONNXModel(model).topological_sort()  # quantizers append the nodes that they insert

        properties = {"labels": json.dumps(self._facts.labels), "edgekit": json.dumps(signature(self._facts))}
        onnx.helper.set_model_props(model, properties)
        model.producer_name, model.producer_version = "edgekit", __version__
        model.doc_string = f"{self._facts.title}: image classifier of {len(self._facts.labels)} classes"
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())

    def opset(self) -> int | None:
        return OPSET

    def converter(self, scheme: str) -> tuple[str, str]:
        if scheme == "int8-tflite":
            return "tf2onnx", installed_version("tf2onnx")
        if scheme != "fp32":
            return "onnxruntime", installed_version("onnxruntime")
        return "edgekit", __version__

    def operators(self, content: bytes) -> OperatorTable:
        return onnx_operators(content)

    @cached_property
    def _float32(self) -> Any:
        return build_onnx(fold_head(self._network.keras_model), self._network.image_size)

    def _float16(self) -> Any:
        """Weights and computation in 16-bit floats behind the scaling; what goes in and out stays as it is."""
        from onnxruntime.transformers.float16 import convert_float_to_float16

        scaling = [node.name for node in self._float32.graph.node if _layer(node) in (SCALING, "input")]
        return convert_float_to_float16(deepcopy(self._float32), keep_io_types=True, node_block_list=scaling)

    def _dynamic(self) -> Any:
        """8-bit weights; the range of every activation is taken while running."""
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        with tempfile.TemporaryDirectory(prefix="edgekit-") as folder, _quiet_logging():
            source, result = Path(folder) / "fp32.onnx", Path(folder) / "dynamic.onnx"
            onnx.save_model(self._float32, source)
            # ONNX Runtime's ConvInteger takes one scale for the whole kernel, and uint8 weights only where it is fast.
            quantize_dynamic(source, result, weight_type=QuantType.QUInt8)
            return onnx.load_model(result)

    def _int8_tflite(self) -> Any:
        """The integers of the ``tflite-int8`` file of the converter, for the runtime of ONNX."""
        from edgekit.export.onnx.from_tflite import onnx_of_tflite
        from edgekit.export.tflite.maker import TFLiteMaker

        source = TFLiteMaker(self._network, self._calibration, self._facts, self._settings).float_ends()
        return onnx_of_tflite(source, self._network.image_size)

    def activation_ranges(self, content: bytes) -> list[ActivationRange]:
        known = {name for node in self._float32.graph.node for name in node.output}
        return [found for found in onnx_ranges(content) if found.tensor in known]

    def activations(self, names: list[str], pixels: NDArray[np.uint8]) -> Iterator[list[NDArray[np.float32]]]:
        return float_activations(self._float32, names, pixels)

    def quantizable(self) -> list[str]:
        # Activations are taken into the quantization of what stands before them.
        left = {*LEFT_AS_FLOAT, "Clip", "Relu"}
        names = [_layer(node) for node in self._float32.graph.node if node.op_type not in left]
        return [name for name in dict.fromkeys(names) if name != SCALING]

    def mixed(self, floats: frozenset[str]) -> bytes:
        return self._finished(self._int8(floats))

    @cached_property
    def _ranges(self) -> Any:
        """The range of every tensor over the calibration images, by ONNX Runtime's calibrator.

        The images go in by and by: the methods other than ``minmax`` keep every value of what they get at once.
        """
        import onnx
        from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

        wanted = self._settings.calibration
        method = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}[wanted.method]
        options = {"percentile": wanted.percentile} if wanted.method == "percentile" else {}
        step = len(self._calibration) if wanted.method == "minmax" else AT_ONCE
        with tempfile.TemporaryDirectory(prefix="edgekit-") as folder, _quiet_logging(), redirect_stdout(io.StringIO()):
            source = Path(folder) / "fp32.onnx"
            onnx.save_model(self._float32, source)
            calibrator = create_calibrator(
                source,
                _quantized_types(),
                augmented_model_path=str(Path(folder) / "augmented.onnx"),
                calibrate_method=CalibrationMethod[method],
                extra_options=options,
            )
            for start in range(0, len(self._calibration), step):
                calibrator.collect_data(_reader(self._calibration[start : start + step]))
            return calibrator.compute_data()

    def _int8(self, floats: frozenset[str] = frozenset()) -> Any:
        """Static QDQ but for the layers ``floats``: uint8 activations, int8 weights per channel.

        uint8 activations with int8 weights are the fast pair on x86 with VNNI. What ``quantize_static`` does, with a
        calibration that is done once however many layers are tried in float. ONNX Runtime's preprocessing is left
        out: there is nothing left to fuse in this graph.
        """
        import onnx
        from onnxruntime.quantization import QuantType
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
        from onnxruntime.quantization.quant_utils import save_and_reload_model_with_shape_infer

        nodes = self._float32.graph.node
        excluded = [n.name for n in nodes if n.op_type in LEFT_AS_FLOAT or _layer(n) in {SCALING, *floats}]
        with _quiet_logging():
            quantizer = QDQQuantizer(
                save_and_reload_model_with_shape_infer(self._float32),
                True,  # per channel
                False,  # reduce range
                QuantType.QInt8,
                QuantType.QUInt8,
                deepcopy(self._ranges),  # the quantizer changes them
                [],
                excluded,
                _quantized_types(),
                {},
            )
            quantizer.quantize_model()
        model: onnx.ModelProto = quantizer.model.model
        return model


def _layer(node: Any) -> str:
    """The Keras layer that a node belongs to; what moves bytes around the input belongs to ``input``."""
    return str(node.name).split("/")[0]


def _quantized_types() -> list[str]:
    """Every operator that ONNX Runtime can quantize."""
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
def _quiet_logging() -> Iterator[None]:
    """The quantizer advises on the root logger to run the preprocessing that this graph does not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
