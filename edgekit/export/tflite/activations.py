"""The activations of a TFLite file: the ranges of an int8 file, and the values of a float file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgekit.export.base import ActivationRange, ActivationReader
from edgekit.export.tflite.flatbuffer import pack, unpack
from edgekit.export.tflite.interpreters import Interpreters


def tflite_ranges(content: bytes, owner: Callable[[str], str | None]) -> list[ActivationRange]:
    """The range of every calibrated int8 activation of a file; ``owner`` gives the layer that a tensor belongs to.

    The output of a softmax is not among them, because the format fixes its range.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = unpack(content)
    graph = model.subgraphs[0]
    found = []
    for operator in graph.operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.SOFTMAX:
            continue
        for index in operator.outputs:
            tensor = graph.tensors[int(index)]
            stored = tensor.quantization
            if tensor.type != schema.TensorType.INT8 or stored is None or stored.scale is None:
                continue
            scale, zero_point = float(stored.scale[0]), int(stored.zeroPoint[0])
            name = tensor.name.decode()
            low, high = (-128 - zero_point) * scale, (127 - zero_point) * scale
            found.append(ActivationRange(name, owner(name), low, high, scale))
    return found


def activation_reader(content: bytes, names: list[str]) -> ActivationReader:
    """Reads the tensors ``names`` of a float file with input float32 (1, H, W, 3)."""
    model = unpack(content)
    graph = model.subgraphs[0]
    indices = {tensor.name.decode(): position for position, tensor in enumerate(graph.tensors)}
    graph.outputs = [indices[name] for name in names]
    source = int(graph.inputs[0])
    interpreters = Interpreters(pack(model, len(content)))

    def read(image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        interpreter = interpreters.of_this_thread()
        interpreter.set_tensor(source, image[np.newaxis].astype(np.float32))
        interpreter.invoke()
        return [interpreter.get_tensor(indices[name]) for name in names]

    return read
