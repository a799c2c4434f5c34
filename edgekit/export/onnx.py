"""ONNX files: fp32 written from the Keras layers, int8 by ONNX Runtime's static quantization."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit import __version__
from edgekit.export.folding import fold_head
from edgekit.export.formats import FileFacts, installed_version, signature
from edgekit.export.inference import TrainedNetwork
from edgekit.export.onnx_layers import INPUT, OPSET, build_onnx
from edgekit.export.operators import OperatorTable, onnx_operators

LEFT_AS_FLOAT = ("Transpose", "Cast", "Softmax")
"""Moving bytes needs no quantization, and a softmax of 8-bit probabilities would lose the small ones."""


class OnnxMaker:
    """See :class:`edgekit.export.formats.Maker`."""

    def __init__(self, network: TrainedNetwork, calibration: NDArray[np.uint8], facts: FileFacts) -> None:
        self._network = network
        self._calibration = calibration
        self._facts = facts

    def make(self, scheme: str) -> bytes:
        """The file of ``scheme``: ``fp32`` or ``int8``."""
        import onnx

        model = self._float32 if scheme == "fp32" else self._int8()
        properties = {"labels": json.dumps(self._facts.labels), "edgekit": json.dumps(signature(self._facts))}
        onnx.helper.set_model_props(model, properties)
        model.producer_name, model.producer_version = "edgekit", __version__
        model.doc_string = f"{self._facts.title}: image classifier of {len(self._facts.labels)} classes"
        return bytes(model.SerializeToString())

    def opset(self) -> int | None:
        return OPSET

    def converter(self, scheme: str) -> tuple[str, str]:
        if scheme == "int8":
            return "onnxruntime", installed_version("onnxruntime")
        return "edgekit", __version__

    def operators(self, content: bytes) -> OperatorTable:
        return onnx_operators(content)

    @cached_property
    def _float32(self) -> Any:
        return build_onnx(fold_head(self._network.keras_model), self._network.image_size)

    def _int8(self) -> Any:
        """Static QDQ: uint8 activations by minimum and maximum, int8 weights per channel.

        uint8 activations with int8 weights are the fast pair on x86 with VNNI. ONNX Runtime's preprocessing is left
        out: shape inference is in ``quantize_static`` too, and there is nothing left to fuse in this graph.
        """
        import onnx
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

        scaling = [node.name for node in self._float32.graph.node if node.name.startswith("scaling/")]
        others = [node.name for node in self._float32.graph.node if node.op_type in LEFT_AS_FLOAT]
        with tempfile.TemporaryDirectory(prefix="edgekit-") as folder, _quiet_logging():
            source, result = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
            onnx.save_model(self._float32, source)
            quantize_static(
                source,
                result,
                _reader(self._calibration),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=[*scaling, *others],
            )
            return onnx.load_model(result)


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
