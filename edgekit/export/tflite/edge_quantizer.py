"""ai-edge-quantizer: Google's second quantizer for TFLite files, which does not need TensorFlow.

It quantizes a converted float file operator by operator. It gets edgekit's calibration, like the converter's quantizer,
so the two only differ in how they quantize. Its inputs and outputs are int8, but edgekit's files take and return uint8
(pixels as they are), so a QUANTIZE operator is added at both ends, as the converter does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.export.tflite.flatbuffer import pack, unpack
from edgekit.support.quiet import quiet_native_output

Ranges = dict[str, dict[str, NDArray[np.float32]]]
"""``min`` and ``max`` (1,) of each tensor."""

NAME = "ai-edge-quantizer"
MODULE = "ai_edge_quantizer"
BITS = 8
TO_UINT8 = 128
"""Added to the zero point and the values of an int8 tensor to store the same numbers as uint8."""


def static_int8(ranged: bytes, floats: Sequence[str]) -> bytes:
    """``ranged`` (see :func:`edgekit.export.tflite.ranges.with_ranges`) in full int8, with uint8 input and output.

    The operators whose output is named in ``floats`` stay in float. Weights have a scale for each channel.
    """
    from ai_edge_quantizer import qtyping, recipe_manager

    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config(".*", qtyping.TFLOperationName.ALL_SUPPORTED, BITS, BITS)
    for name in floats:
        recipe.add_quantization_config(
            re.escape(name), qtyping.TFLOperationName.ALL_SUPPORTED, algorithm_key="no_quantize"
        )
    content = _quantize(ranged, recipe.get_quantization_recipe(), _ranges(ranged))
    return _uint8_ends(content)


def dynamic_int8(content: bytes) -> bytes:
    """The float file ``content`` with 8-bit weights; activations are quantized at run time. Input float32."""
    from ai_edge_quantizer import qtyping, recipe_manager

    recipe = recipe_manager.RecipeManager()
    recipe.add_dynamic_config(".*", qtyping.TFLOperationName.ALL_SUPPORTED, BITS)
    # Older runtimes (tflite-runtime 2.14) refuse Dense layers that are quantized per channel.
    dense, whole = qtyping.TFLOperationName.FULLY_CONNECTED, qtyping.QuantGranularity.TENSORWISE
    recipe.add_dynamic_config(".*", dense, BITS, whole)
    return _quantize(content, recipe.get_quantization_recipe(), None)


def _quantize(content: bytes, recipe: Any, ranges: Ranges | None) -> bytes:
    from ai_edge_quantizer import quantizer

    with quiet_native_output():
        made = quantizer.Quantizer(content, recipe)
        result = made.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


def _ranges(ranged: bytes) -> Ranges:
    """The result that its own calibration would give: the smallest and largest value of every tensor by name."""
    found = {}
    for tensor in unpack(ranged).subgraphs[0].tensors:
        stored = tensor.quantization
        if stored is not None and stored.min is not None and len(stored.min):
            low, high = np.float32(stored.min[0]), np.float32(stored.max[0])
            found[tensor.name.decode()] = {"min": np.array([low]), "max": np.array([high])}
    return found


def _uint8_ends(content: bytes) -> bytes:
    """Add a QUANTIZE from uint8 before an int8 input, and one to uint8 after an int8 output.

    Where a layer that was left in float made an end of the file float, that end stays as it is.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = unpack(content)
    graph = model.subgraphs[0]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    code.version = 2
    model.operatorCodes.append(code)
    given, made = int(graph.inputs[0]), int(graph.outputs[0])
    if graph.tensors[given].type == schema.TensorType.INT8:
        pixels = _as_uint8(graph, given, "pixels", schema)
        graph.tensors[given].name += b"_int8"  # the new input takes its name
        graph.operators.insert(0, _requantize(model, pixels, given, schema))
        graph.inputs = [pixels]
    if graph.tensors[made].type == schema.TensorType.INT8:
        result = _as_uint8(graph, made, "result", schema)
        graph.operators.append(_requantize(model, made, result, schema))
        graph.outputs = [result]
    return pack(model, len(content))


def _as_uint8(graph: Any, index: int, name: str, schema: Any) -> int:
    """Add a tensor for the numbers of tensor ``index``, stored as uint8; returns its index."""
    source = graph.tensors[index]
    tensor = schema.TensorT()
    tensor.type, tensor.shape, tensor.name = schema.TensorType.UINT8, source.shape, name
    tensor.buffer = 0  # the empty buffer: not a constant
    tensor.hasRank = True
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = [float(source.quantization.scale[0])]
    tensor.quantization.zeroPoint = [int(source.quantization.zeroPoint[0]) + TO_UINT8]
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _requantize(model: Any, source: int, target: int, schema: Any) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = [source], [target]
    operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
    operator.builtinOptions = schema.QuantizeOptionsT()
    return operator
