"""Which operators a file consists of, and which of them compute with floats. Read from the file itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OperatorTable:
    """Number of operators by name; ``floats`` are those with a floating-point tensor on either side."""

    counts: dict[str, int]
    floats: dict[str, int]

    @property
    def integer_only(self) -> bool:
        return not self.floats


def tflite_operators(content: bytes) -> OperatorTable:
    """The operators of all subgraphs of a TFLite flatbuffer.

    An operator counts as float if one of its inputs (weights included) or outputs is a float tensor; so the
    hybrid operators of a dynamic-range file and the DEQUANTIZE of an fp16 file do.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    float_types = {schema.TensorType.FLOAT16, schema.TensorType.FLOAT32, schema.TensorType.FLOAT64}
    counts: Counter[str] = Counter()
    floats: Counter[str] = Counter()
    for number in range(model.SubgraphsLength()):
        subgraph = model.Subgraphs(number)
        for index in range(subgraph.OperatorsLength()):
            operator = subgraph.Operators(index)
            code = model.OperatorCodes(operator.OpcodeIndex())
            # Old files have only the first field, which ends at 127.
            name = names[max(code.DeprecatedBuiltinCode(), code.BuiltinCode())]
            tensors = [operator.Inputs(i) for i in range(operator.InputsLength())]
            tensors += [operator.Outputs(i) for i in range(operator.OutputsLength())]
            counts[name] += 1
            if any(subgraph.Tensors(t).Type() in float_types for t in tensors if t >= 0):
                floats[name] += 1
    return _table(counts, floats)


def onnx_operators(content: bytes) -> OperatorTable:
    """The operators of an ONNX model.

    In a QDQ graph an operator between DequantizeLinear and QuantizeLinear is run on integers by the runtime, though
    the graph is written with floats. So an operator counts as float if it gives a float tensor, and its float
    inputs do not all come from DequantizeLinear or its output does not go to QuantizeLinear alone.
    """
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(content))
    graph = model.graph
    makers = {output: node.op_type for node in graph.node for output in node.output}
    takers: dict[str, list[str]] = {output.name: ["output"] for output in graph.output}
    for node in graph.node:
        for name in node.input:
            takers.setdefault(name, []).append(node.op_type)
    float_tensors = _onnx_float_tensors(graph)
    counts = Counter(node.op_type for node in graph.node)
    floats: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            continue
        inputs = [name for name in node.input if name in float_tensors]
        from_integers = inputs and all(makers.get(name) == "DequantizeLinear" for name in inputs)
        to_integers = all(taker == "QuantizeLinear" for name in node.output for taker in takers.get(name, []))
        if any(name in float_tensors for name in node.output) and not (from_integers and to_integers):
            floats[node.op_type] += 1
    return _table(counts, floats)


def _onnx_float_tensors(graph: Any) -> set[str]:
    import onnx

    kinds = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    described = [*graph.value_info, *graph.input, *graph.output]
    names = {value.name for value in described if value.type.tensor_type.elem_type in kinds}
    return names | {tensor.name for tensor in graph.initializer if tensor.data_type in kinds}


def _table(counts: Counter[str], floats: Counter[str]) -> OperatorTable:
    return OperatorTable(dict(sorted(counts.items())), dict(sorted(floats.items())))
