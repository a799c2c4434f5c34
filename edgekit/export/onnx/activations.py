"""The activations of an ONNX file: the ranges of a QDQ file, and the values of a float file."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.export.base import ActivationRange, ActivationReader
from edgekit.export.onnx.layers import INPUT


def onnx_ranges(content: bytes) -> list[ActivationRange]:
    """The range of every tensor that a QuantizeLinear of the file takes. Tensors are named after their layers."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_model_from_string(content).graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    found: dict[str, ActivationRange] = {}
    for node in graph.node:
        if node.op_type != "QuantizeLinear" or not set(node.input[1:]) <= set(constants):
            continue
        name, scale = node.input[0], float(numpy_helper.to_array(constants[node.input[1]]))
        zero_point = numpy_helper.to_array(constants[node.input[2]])
        limits = np.iinfo(zero_point.dtype)
        low, high = ((end - int(zero_point)) * scale for end in (limits.min, limits.max))
        layer = name.split("/")[0].split(":")[0]
        found.setdefault(name, ActivationRange(name, layer, low, high, scale))
    return list(found.values())


def activation_reader(model: Any, names: list[str]) -> ActivationReader:
    """Reads the tensors ``names`` of the float ``model``."""
    import onnx
    import onnxruntime

    watched = deepcopy(model)
    del watched.graph.output[:]
    for name in names:
        watched.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # several images at once instead
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    del watched

    def read(image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return list(session.run(names, {INPUT: np.ascontiguousarray(image[np.newaxis])}))

    return read
