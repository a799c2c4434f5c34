"""The activations of a TFLite file: the ranges of an int8 file, and the values of a float file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.export.base import ActivationRange
from edgekit.export.tflite.flatbuffer import pack, unpack


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


def float_activations(
    content: bytes, names: list[str], pixels: NDArray[np.uint8]
) -> Iterator[list[NDArray[np.float32]]]:
    """The tensors ``names`` of a float file with input float32 (1, H, W, 3), for each of ``pixels`` (N, H, W, 3)."""
    from ai_edge_litert.interpreter import Interpreter

    model = unpack(content)
    graph = model.subgraphs[0]
    indices = {tensor.name.decode(): position for position, tensor in enumerate(graph.tensors)}
    graph.outputs = [indices[name] for name in names]
    interpreter: Any = Interpreter(model_content=pack(model, len(content)), num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    for image in pixels:
        interpreter.set_tensor(source, image[np.newaxis].astype(np.float32))
        interpreter.invoke()
        yield [interpreter.get_tensor(indices[name]) for name in names]
