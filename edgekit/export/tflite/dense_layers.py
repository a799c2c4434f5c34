"""Dense layers as 1x1 convolutions, for dynamic-range files.

Such a file has one scale for each channel of a convolution, but one for the whole kernel of a Dense layer, because
tflite-runtime 2.14 refuses to open more. With a single scale, the largest unit decides how finely all others are
rounded: in a fine-tuned VGG16, units of the head that never vary turned 55% of the others into zero, and the file
predicted one class for every image. A 1x1 convolution does the same arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def as_convolutions(graph: Any) -> Any:
    """``graph`` (GraphDef) with convolutions in place of the products with constant kernels (C, units)."""
    import tensorflow as tf

    constants = {node.name: node for node in graph.node if node.op == "Const"}
    result = tf.compat.v1.GraphDef()
    result.versions.CopyFrom(graph.versions)
    for node in graph.node:
        kernel = constants.get(node.input[1]) if node.op == "MatMul" else None
        if kernel is None or node.attr["transpose_a"].b or node.attr["transpose_b"].b:
            result.node.append(node)
        else:
            result.node.extend(_convolution(node, tf.make_ndarray(kernel.attr["value"].tensor)))
    return result


def _convolution(node: Any, kernel: np.ndarray[Any, Any]) -> list[Any]:
    """(N, C) becomes (N, 1, 1, C) and back to (N, units). The last node has the name of ``node``."""
    import tensorflow as tf

    channels, units = kernel.shape
    with tf.Graph().as_default() as graph:
        values = tf.compat.v1.placeholder(tf.float32, (None, channels), name="values")
        pixel = tf.reshape(values, (-1, 1, 1, channels))
        convolved = tf.nn.conv2d(pixel, tf.constant(kernel[np.newaxis, np.newaxis]), 1, "VALID")
        tf.reshape(convolved, (-1, units), name="result")
    names = {"values": node.input[0], "result": node.name}
    made = [one for one in graph.as_graph_def().node if one.name != "values"]
    for one in made:
        one.name = names.get(one.name, f"{node.name}/{one.name}")
        one.input[:] = [names.get(name, f"{node.name}/{name}") for name in one.input]
    return made
