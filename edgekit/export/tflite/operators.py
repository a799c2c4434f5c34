"""The operators of a TFLite file, and which of them compute with floats. Read from the file itself."""

from __future__ import annotations

from collections import Counter

from edgekit.export.base import OperatorTable


def tflite_operators(content: bytes) -> OperatorTable:
    """The operators of all subgraphs of a TFLite flatbuffer.

    An operator counts as float if one of its inputs (weights included) or outputs is a float tensor. This includes
    the hybrid operators of a dynamic-range file and the DEQUANTIZE of an fp16 file.
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
            # Old files only have the first field, which ends at 127.
            name = names[max(code.DeprecatedBuiltinCode(), code.BuiltinCode())]
            tensors = [operator.Inputs(i) for i in range(operator.InputsLength())]
            tensors += [operator.Outputs(i) for i in range(operator.OutputsLength())]
            counts[name] += 1
            if any(subgraph.Tensors(t).Type() in float_types for t in tensors if t >= 0):
                floats[name] += 1
    return OperatorTable(dict(sorted(counts.items())), dict(sorted(floats.items())))
