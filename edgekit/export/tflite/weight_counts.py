"""How many weights of a TFLite file are 0, and how many distinct values a kernel has. Counted in the file itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.export import KernelWeights, WeightCounts
from edgekit.export.tflite.flatbuffer import unpack

_KERNEL_INPUT = 1


def count_weights(content: bytes) -> WeightCounts:
    """The weights of convolutions and Dense layers, without biases, in the order of computation.

    Distinct values are counted per output channel, because each channel has its own factor: that of the folded
    BatchNorm, and in int8 its step.
    """
    model = unpack(content)
    graph = model.subgraphs[0]
    kernels = []
    for operator in graph.operators:
        code = _code(model.operatorCodes[operator.opcodeIndex])
        if code not in _KERNELS:
            continue
        kind, axis = _KERNELS[code]
        values = _values(model, graph.tensors[int(operator.inputs[_KERNEL_INPUT])])
        if values is not None:
            distinct = max(len(np.unique(channel)) for channel in np.moveaxis(values, axis, 0))
            n_zero = int(values.size - np.count_nonzero(values))
            kernels.append(
                KernelWeights(operator=kind, n_weights=int(values.size), n_zero=n_zero, n_distinct=int(distinct))
            )
    return WeightCounts(
        n_weights=sum(kernel.n_weights for kernel in kernels),
        n_zero=sum(kernel.n_zero for kernel in kernels),
        kernels=tuple(kernels),
    )


_KERNELS = {3: ("CONV_2D", 0), 4: ("DEPTHWISE_CONV_2D", 3), 9: ("FULLY_CONNECTED", 0)}
"""By number in TFLite's schema: the operator's name, and the axis of the output channels in its kernel."""


def _code(entry: Any) -> int:
    return int(max(entry.deprecatedBuiltinCode, entry.builtinCode))


def _values(model: Any, tensor: Any) -> NDArray[Any] | None:
    """The stored numbers; None if the kernel is not an fp32 or int8 constant."""
    from ai_edge_litert import schema_py_generated as schema

    types = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT8: np.int8}
    data = model.buffers[tensor.buffer].data
    if tensor.type not in types or data is None or not len(data):
        return None
    values: NDArray[Any] = np.frombuffer(bytes(data), types[tensor.type]).reshape(tensor.shape)
    return values
