"""ONNX files: fp32 is written from the Keras layers, int8 uses ONNX Runtime's static quantization."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from copy import deepcopy
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit import __version__
from edgekit.export.base import ActivationRange, ActivationReader, ExportFacts, OperatorTable
from edgekit.export.head_folding import fold_head
from edgekit.export.network import TrainedNetwork
from edgekit.export.onnx.activations import activation_reader, onnx_ranges
from edgekit.export.onnx.calibration import calibrated_ranges, quantized_types, quiet_logging
from edgekit.export.onnx.concatenations import share_ranges
from edgekit.export.onnx.from_tensorflow import onnx_from_tensorflow
from edgekit.export.onnx.from_tflite import onnx_from_tflite
from edgekit.export.onnx.graph import UnsupportedLayer
from edgekit.export.onnx.layers import OPSET, build_onnx
from edgekit.export.onnx.operators import onnx_operators
from edgekit.export.tflite.maker import TFLiteMaker
from edgekit.export.versions import installed_version
from edgekit.recipe import Export

SCALING = "scaling"
"""The layer before the backbone; its few numbers stay in float."""

SIGNED = "int8-s8s8"
"""The scheme with int8 activations instead of uint8."""

LEFT_AS_FLOAT = ("Transpose", "Cast", "Softmax")
"""Moving bytes needs no quantization, and a softmax with 8-bit outputs would lose small probabilities."""


class OnnxMaker:
    """See :class:`edgekit.export.base.QuantizingMaker`."""

    def __init__(
        self,
        network: TrainedNetwork,
        calibration: NDArray[np.uint8],
        facts: ExportFacts,
        settings: Export,
        tflite: TFLiteMaker | None = None,
    ) -> None:
        self._network = network
        self._calibration = calibration
        self._facts = facts
        self._settings = settings
        self._tflite = tflite or TFLiteMaker(network, calibration, facts, settings)
        self._converted = False
        """Whether the network has layers that only tf2onnx converts."""

    def make(self, scheme: str) -> bytes:
        """The file of ``scheme``: ``fp32``, ``fp16``, ``dynamic``, ``int8``, ``int8-s8s8`` or ``int8-tflite``."""
        made: dict[str, Callable[[], Any]] = {
            "fp32": lambda: self.float32,
            "fp16": self._float16,
            "dynamic": self._dynamic,
            "int8": self._int8,
            SIGNED: partial(self._int8, signed=True),
            "int8-tflite": self._int8_tflite,
        }
        return self._finished(made[scheme]())

    def _finished(self, model: Any) -> bytes:
        import onnx
        from onnxruntime.quantization.onnx_model import ONNXModel

        ONNXModel(model).topological_sort()  # quantizers append the nodes that they insert

        onnx.helper.set_model_props(model, text_properties(self._facts))
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
        return ("tf2onnx", installed_version("tf2onnx")) if self._converted else ("edgekit", __version__)

    def release(self) -> None:
        self.__dict__.pop("float32", None)

    def operators(self, content: bytes) -> OperatorTable:
        return onnx_operators(content)

    @cached_property
    def float32(self) -> Any:
        """The float model of the network, without the metadata of a file."""
        try:
            return build_onnx(fold_head(self._network.keras_model), self._network.image_size)
        except UnsupportedLayer as error:
            self._converted = True
            return onnx_from_tensorflow(self._network, error)

    def _float16(self) -> Any:
        """Weights and computation in 16-bit floats after the scaling; input and output stay as they are."""
        from onnxruntime.transformers.float16 import convert_float_to_float16

        scaling = [node.name for node in self.float32.graph.node if _layer(node) in (SCALING, "input")]
        return convert_float_to_float16(deepcopy(self.float32), keep_io_types=True, node_block_list=scaling)

    def _dynamic(self) -> Any:
        """8-bit weights; activations are quantized at run time."""
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        with tempfile.TemporaryDirectory(prefix="edgekit-") as folder, quiet_logging():
            source, result = Path(folder) / "fp32.onnx", Path(folder) / "dynamic.onnx"
            onnx.save_model(self.float32, source)
            # ONNX Runtime is only fast with uint8 weights, and its ConvInteger takes one scale for the whole kernel.
            # Channels of a depthwise kernel differ too much for that: MobileNetV2 lost 62 points and took twice as
            # long.
            depthwise = [node.name for node in self.float32.graph.node if _is_grouped(node)]
            quantize_dynamic(source, result, weight_type=QuantType.QUInt8, per_channel=True, nodes_to_exclude=depthwise)
            return onnx.load_model(result)

    def _int8_tflite(self) -> Any:
        """The converter's ``tflite-int8`` file, converted to ONNX."""
        return onnx_from_tflite(self._tflite.float_ends(), self._network.image_size)

    def activation_ranges(self, content: bytes) -> list[ActivationRange]:
        known = {name for node in self.float32.graph.node for name in node.output}
        return [found for found in onnx_ranges(content) if found.tensor in known]

    def activation_reader(self, names: list[str]) -> ActivationReader:
        return activation_reader(self.float32, names)

    def quantizable_layers(self) -> list[str]:
        # Activations are quantized together with the layer before them.
        left = {*LEFT_AS_FLOAT, "Clip", "Relu"}
        names = [_layer(node) for node in self.float32.graph.node if node.op_type not in left]
        return [name for name in dict.fromkeys(names) if name != SCALING]

    def with_float_layers(self, layers: frozenset[str], scheme: str = "int8") -> bytes:
        return self._finished(self._int8(layers, signed=scheme == SIGNED))

    @cached_property
    def _ranges(self) -> Any:
        """The range of every tensor over the calibration images, by ONNX Runtime's calibrator."""
        ranges = calibrated_ranges(self.float32, self._calibration, self._settings.calibration, quantized_types())
        share_ranges(self.float32, ranges)
        return ranges

    def _int8(self, floats: frozenset[str] = frozenset(), *, signed: bool = False) -> Any:
        """Static QDQ, except for the layers ``floats``: uint8 or ``signed`` int8 activations, int8 weights per channel.

        uint8 activations with int8 weights (u8s8) are the fast combination on x86 with VNNI, whose instruction takes
        exactly these; Arm's takes two signed numbers (s8s8). Both store the same values, 128 apart. This does what
        ``quantize_static`` does, but calibrates only once, however many choices of float layers are tried. ONNX
        Runtime's preprocessing is left out, because this graph has nothing left to fuse.
        """
        import onnx
        from onnxruntime.quantization import QuantType
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
        from onnxruntime.quantization.quant_utils import save_and_reload_model_with_shape_infer

        nodes = self.float32.graph.node
        excluded = [n.name for n in nodes if n.op_type in LEFT_AS_FLOAT or _layer(n) in {SCALING, *floats}]
        with quiet_logging():
            quantizer = QDQQuantizer(
                save_and_reload_model_with_shape_infer(self.float32),
                True,  # per channel
                False,  # reduce range
                QuantType.QInt8,
                QuantType.QInt8 if signed else QuantType.QUInt8,
                deepcopy(self._ranges),  # the quantizer changes them
                [],
                excluded,
                quantized_types(),
                {},
            )
            quantizer.quantize_model()
        model: onnx.ModelProto = quantizer.model.model
        return model


def text_properties(facts: ExportFacts) -> dict[str, str]:
    """What a file says about itself, as pairs of key and value."""
    return {"labels": json.dumps(facts.labels), "edgekit": json.dumps(_signature(facts))}


def _signature(facts: ExportFacts) -> dict[str, object]:
    """How to feed the file."""
    return {
        "input": {"dtype": "uint8", "layout": "NHWC", "color": "RGB", "range": [0, 255]},
        "scaling": "none",
        "resize": facts.resize,
        "range": facts.pixel_range,
        "run_id": facts.run_id,
        "backbone": facts.backbone,
    }


def _layer(node: Any) -> str:
    """The Keras layer that a node belongs to; nodes that prepare the input belong to ``input``."""
    return str(node.name).split("/")[0]


def _is_grouped(node: Any) -> bool:
    """Whether a convolution works on groups of channels, as depthwise ones do."""
    return node.op_type == "Conv" and any(value.name == "group" and value.i > 1 for value in node.attribute)
