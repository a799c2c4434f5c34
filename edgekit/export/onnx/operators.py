"""The operators of an ONNX file, and which of them compute with floats. Read from the file itself."""

from __future__ import annotations

from collections import Counter
from typing import Any

from edgekit.export.base import OperatorTable


def onnx_operators(content: bytes) -> OperatorTable:
    """The operators of an ONNX model.

    In a QDQ graph, the runtime runs an operator between DequantizeLinear and QuantizeLinear on integers, although the
    graph is written with floats. So an operator counts as float if it produces a float tensor, and its float inputs
    do not all come from DequantizeLinear or its output does not go to QuantizeLinear alone.
    """
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(content))
    graph = model.graph
    producers = {output: node.op_type for node in graph.node for output in node.output}
    consumers: dict[str, list[str]] = {output.name: ["output"] for output in graph.output}
    for node in graph.node:
        for name in node.input:
            consumers.setdefault(name, []).append(node.op_type)
    float_tensors = _float_tensors(graph)
    counts = Counter(node.op_type for node in graph.node)
    floats: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            continue
        inputs = [name for name in node.input if name in float_tensors]
        from_integers = inputs and all(producers.get(name) == "DequantizeLinear" for name in inputs)
        to_integers = all(op == "QuantizeLinear" for name in node.output for op in consumers.get(name, []))
        if any(name in float_tensors for name in node.output) and not (from_integers and to_integers):
            floats[node.op_type] += 1
    return OperatorTable(dict(sorted(counts.items())), dict(sorted(floats.items())))


def _float_tensors(graph: Any) -> set[str]:
    import onnx

    kinds = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    described = [*graph.value_info, *graph.input, *graph.output]
    names = {value.name for value in described if value.type.tensor_type.elem_type in kinds}
    return names | {tensor.name for tensor in graph.initializer if tensor.data_type in kinds}
