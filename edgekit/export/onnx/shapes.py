"""Keras layers that move, cut, join or pool values, as ONNX nodes. Tensors are NHWC in Keras and NCHW here."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.export.onnx.graph import Graph, Value, unsupported

TO_NHWC, TO_NCHW = [0, 2, 3, 1], [0, 3, 1, 2]


def average_pool(graph: Graph, layer: Any, value: Value, pads: list[int]) -> Value:
    """AveragePooling2D; as in TensorFlow, padded values do not count."""
    settings = {"kernel_shape": layer.pool_size, "strides": layer.strides, "pads": pads, "count_include_pad": 0}
    return Value(graph.add("AveragePool", layer.name, [value.name], **settings), 4)


def flatten(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """In the order of Keras: H, W, C."""
    value = graph.materialize(inputs[0], layer.name)
    if value.rank == 2:
        return value
    name = value.name
    if any(side != 1 for side in layer.input.shape[1:-1]):
        name = graph.add("Transpose", f"{layer.name}/transpose", [name], perm=TO_NHWC)
    return Value(graph.add("Flatten", layer.name, [name]), 2)


def reshape(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """Reshape to (N, C) or (N, H, W, C); other shapes have no translation."""
    value = graph.materialize(inputs[0], layer.name)
    shape = [int(side) for side in layer.output.shape[1:]]
    if len(shape) not in (1, 3):
        raise unsupported(layer, f"Reshape to {len(shape) + 1} dimensions")
    name = value.name
    if value.rank == 4 and any(side != 1 for side in layer.input.shape[1:-1]):
        name = graph.add("Transpose", f"{layer.name}/to_nhwc", [name], perm=TO_NHWC)
    if len(shape) == 3 and shape[:2] == [1, 1]:  # (N, C) to (N, 1, 1, C), as in squeeze-and-excitation
        return Value(graph.add("Reshape", layer.name, [name, _shape(graph, layer, [1, shape[2], 1, 1])]), 4)
    output = graph.add("Reshape", layer.name, [name, _shape(graph, layer, [1, *shape])])
    if len(shape) == 1:
        return Value(output, 2)
    return Value(graph.add("Transpose", f"{layer.name}/to_nchw", [output], perm=TO_NCHW), 4)


def concatenate(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """Along any axis."""
    rank = inputs[0].rank
    axis = layer.axis if layer.axis >= 0 else layer.axis + rank
    names = [graph.materialize(value, f"{layer.name}/{i}").name for i, value in enumerate(inputs)]
    where = {1: 2, 2: 3, 3: 1}[axis] if rank == 4 else axis
    return Value(graph.add("Concat", layer.name, names, axis=where), rank)


def cropping(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """Cropping2D."""
    value = graph.materialize(inputs[0], layer.name)
    (top, bottom), (left, right) = layer.cropping
    height, width = layer.input.shape[1:3]
    starts, ends = np.array([top, left], np.int64), np.array([height - bottom, width - right], np.int64)
    names = [
        graph.constant(f"{layer.name}/{name}", array)
        for name, array in (("starts", starts), ("ends", ends), ("axes", np.array([2, 3], np.int64)))
    ]
    return Value(graph.add("Slice", layer.name, [value.name, *names]), 4)


def global_max(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """GlobalMaxPooling2D."""
    pooled = graph.add("GlobalMaxPool", layer.name, [graph.materialize(inputs[0], layer.name).name])
    if layer.keepdims:
        return Value(pooled, 4)
    return Value(graph.add("Flatten", f"{layer.name}/flatten", [pooled]), 2)


def _shape(graph: Graph, layer: Any, shape: list[int]) -> str:
    return graph.constant(f"{layer.name}/shape", np.array(shape, np.int64))
