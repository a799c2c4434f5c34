"""TFLite files: fp32, fp16, dynamic range and full int8, all made from one graph of the network."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.export.base import ActivationRange, ActivationReader, ExportFacts, OperatorTable
from edgekit.export.network import TrainedNetwork, constant_graph
from edgekit.export.tflite import edge_quantizer
from edgekit.export.tflite.activations import activation_reader, tflite_ranges
from edgekit.export.tflite.flatbuffer import pack, unpack
from edgekit.export.tflite.metadata import NAME, metadata_buffer, with_label_file
from edgekit.export.tflite.operators import tflite_operators
from edgekit.export.tflite.ranges import full_range, with_ranges
from edgekit.export.tflite.rewriting import as_convolutions, without_negations
from edgekit.export.versions import installed_version
from edgekit.recipe import Export
from edgekit.support.quiet import quiet_native_output

INPUT = "image"
OUTPUT = "probabilities"

QUANTIZED = ("int8", "dynamic")
"""Schemes whose file a quantizer makes from the fp32 file."""

Graph = tuple[Any, Any, Any]
"""A GraphDef, its input and its output."""


class TFLiteMaker:
    """See :class:`edgekit.export.base.QuantizingMaker`. The int8 file is quantized from the fp32 file."""

    def __init__(
        self, network: TrainedNetwork, calibration: NDArray[np.uint8], facts: ExportFacts, settings: Export
    ) -> None:
        self._network = network
        self._calibration = calibration
        self._facts = facts
        self._edge = settings.quantizer == edge_quantizer.NAME

    def make(self, scheme: str) -> bytes:
        """The file of ``scheme``: ``fp32``, ``fp16``, ``dynamic`` or ``int8``."""
        content = {"fp32": self._float32, "fp16": self._float16, "dynamic": self._dynamic, "int8": self._int8}[scheme]()
        return finish(content, self._facts)

    def opset(self) -> int | None:
        return None

    def converter(self, scheme: str) -> tuple[str, str]:
        if self._edge and scheme in QUANTIZED:
            return edge_quantizer.NAME, installed_version(edge_quantizer.NAME)
        return "tensorflow", installed_version("tensorflow", "tensorflow-cpu")

    def release(self) -> None:
        for name in ("_converted", "_ranged"):
            self.__dict__.pop(name, None)

    def operators(self, content: bytes) -> OperatorTable:
        return tflite_operators(content)

    def _graph(self) -> Graph:
        """The network as a graph of constants, which is not kept: it takes more than twice as much as the weights."""
        with quiet_native_output():
            graph_def, *ends = constant_graph(self._network)
        return (without_negations(graph_def), *ends)

    @cached_property
    def _converted(self) -> bytes:
        return self._convert()

    def _float32(self) -> bytes:
        return self._converted

    def _float16(self) -> bytes:
        import tensorflow as tf

        return self._convert(optimizations=[tf.lite.Optimize.DEFAULT], types=[tf.float16])

    def _dynamic(self) -> bytes:
        import tensorflow as tf

        graph_def, *ends = self._graph()
        graph = (as_convolutions(graph_def), *ends)
        if self._edge:
            return edge_quantizer.dynamic_int8(self._convert(graph=graph))
        return self._convert(optimizations=[tf.lite.Optimize.DEFAULT], graph=graph)

    def _convert(
        self, optimizations: list[Any] | None = None, types: list[Any] | None = None, graph: Graph | None = None
    ) -> bytes:
        """Input float32 (1, H, W, 3)."""
        import tensorflow as tf

        graph_def, image, probabilities = self._graph() if graph is None else graph
        # This constructor takes a graph; the others freeze variables or load a SavedModel again for every file.
        converter = tf.compat.v1.lite.TFLiteConverter(graph_def, [image], [probabilities])
        converter.exclude_conversion_metadata = True
        converter.optimizations = optimizations or []
        converter.target_spec.supported_types = types or []
        # Older runtimes (tflite-runtime 2.14) refuse Dense layers that are quantized per channel.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        with quiet_native_output():
            return bytes(converter.convert())

    @cached_property
    def _ranged(self) -> bytes:
        return with_ranges(self._converted, full_range(self._calibration))

    def _int8(self, floats: frozenset[str] = frozenset()) -> bytes:
        """The converted file, quantized except for the layers ``floats``; input and output uint8.

        ``TFLiteConverter.convert`` with a representative dataset calls the same quantizer, but converts the network
        again, although the fp32 file already exists, and calibrates more slowly.
        """
        excluded = [name for layer in floats for name in self._layers[layer]]
        if self._edge:
            return edge_quantizer.static_int8(self._ranged, excluded)
        return self._converter_int8(excluded, ends="uint8")

    def _converter_int8(self, excluded: list[str], ends: str) -> bytes:
        import tensorflow as tf
        from tensorflow.lite.python.convert import mlir_quantize

        with quiet_native_output():
            return bytes(
                mlir_quantize(
                    self._ranged,
                    input_data_type=tf.as_dtype(ends),
                    output_data_type=tf.as_dtype(ends),
                    disable_per_channel_for_dense_layers=False,
                    denylisted_nodes=excluded or None,
                )
            )

    def float_ends(self) -> bytes:
        """The converter's int8 file with float32 input (1, H, W, 3) and output (1, classes), and no metadata."""
        return self._converter_int8([], ends="float32")

    def activation_ranges(self, content: bytes) -> list[ActivationRange]:
        known = {tensor.name.decode() for tensor in unpack(self._converted).subgraphs[0].tensors}
        return [found for found in tflite_ranges(content, self._owner_of) if found.tensor in known]

    def activation_reader(self, names: list[str]) -> ActivationReader:
        return activation_reader(self._converted, names)

    def _owner_of(self, tensor: str) -> str | None:
        return _owner(tensor, {layer.name: hasattr(layer, "kernel") for layer in self._network.keras_model.layers})

    def quantizable_layers(self) -> list[str]:
        return list(self._layers)

    def with_float_layers(self, layers: frozenset[str], scheme: str = "int8") -> bytes:  # noqa: ARG002 - the only one
        return finish(self._int8(layers), self._facts)

    @cached_property
    def _layers(self) -> dict[str, list[str]]:
        """The Keras layers in the network's order, each with the outputs by which the quantizer names its operators."""
        found: dict[str, list[str]] = {}
        layers = {layer.name: hasattr(layer, "kernel") for layer in self._network.keras_model.layers}
        graph = unpack(self._converted).subgraphs[0]
        for operator in graph.operators:
            name = graph.tensors[int(operator.outputs[0])].name.decode()
            owner = _owner(name, layers)
            if owner is not None:
                found.setdefault(owner, []).append(name)
        return found


def _owner(name: str, layers: dict[str, bool]) -> str | None:
    """The layer that an operator belongs to; its ``name`` lists the operations that were fused into it.

    ``layers`` maps each layer to whether it has a kernel; a layer with a kernel owns what is fused with it.
    """
    parts = [part.split("/")[0] for part in name.split(";")]
    # Keras adds a number to the operations of a second call of the network.
    known = [p if p in layers else re.sub(r"_\d+$", "", p) for p in parts]
    known = [part for part in known if part in layers]
    return next((part for part in known if layers[part]), known[0] if known else None)


def finish(content: bytes, facts: ExportFacts) -> bytes:
    """Add the uint8 input, tensor names, signature, metadata and labels to a converted file."""
    from ai_edge_litert import schema_py_generated as schema

    model = unpack(content)
    graph = model.subgraphs[0]
    if graph.tensors[graph.inputs[0]].type != schema.TensorType.UINT8:
        _take_pixels(model, schema)
    for name, index in ((INPUT, graph.inputs[0]), (OUTPUT, graph.outputs[0])):
        graph.tensors[index].name = name
    model.signatureDefs = [_signature(schema, int(graph.inputs[0]), int(graph.outputs[0]))]
    model.description = "edgekit"
    _add_metadata(model, schema, metadata_buffer(facts))
    return with_label_file(
        pack(model, len(content)), facts.labels, {"resize": facts.resize, "range": facts.pixel_range}
    )


def _take_pixels(model: Any, schema: Any) -> None:
    """Add a CAST from uint8 before a float input."""
    graph = model.subgraphs[0]
    floats = int(graph.inputs[0])
    pixels = schema.TensorT()
    pixels.type = schema.TensorType.UINT8
    pixels.shape = graph.tensors[floats].shape
    pixels.buffer = 0  # the empty buffer: not a constant
    pixels.hasRank = True
    graph.tensors.append(pixels)
    graph.tensors[floats].name = f"{INPUT}_float"
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CAST
    code.version = 1
    model.operatorCodes.append(code)
    cast = schema.OperatorT()
    cast.opcodeIndex = len(model.operatorCodes) - 1
    cast.inputs, cast.outputs = [len(graph.tensors) - 1], [floats]
    cast.builtinOptionsType = schema.BuiltinOptions.CastOptions
    cast.builtinOptions = schema.CastOptionsT()
    cast.builtinOptions.inDataType = schema.TensorType.UINT8
    cast.builtinOptions.outDataType = schema.TensorType.FLOAT32
    graph.operators.insert(0, cast)
    graph.inputs = [len(graph.tensors) - 1]


def _signature(schema: Any, input_index: int, output_index: int) -> Any:
    def tensor(name: str, index: int) -> Any:
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        return entry

    signature = schema.SignatureDefT()
    signature.signatureKey = "serving_default"
    signature.inputs = [tensor(INPUT, input_index)]
    signature.outputs = [tensor(OUTPUT, output_index)]
    return signature


def _add_metadata(model: Any, schema: Any, content: bytes) -> None:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = NAME, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
