"""Rewrites of a TensorFlow graph that compute the same and convert better.

**Dense layers as 1x1 convolutions**, for dynamic-range files. Such a file has one scale for each channel of a
convolution, but one for the whole kernel of a Dense layer, because tflite-runtime 2.14 refuses to open more. With a
single scale, the largest unit decides how finely all others are rounded: in a fine-tuned VGG16, units of the head that
never vary turned 55% of the others into zero, and the file predicted one class for every image.

**Negation as a product with -1.** TFLite has no integer kernel for NEG, so int8 files of ConvNeXt had float operators
in every LayerNormalization.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def as_convolutions(graph: Any) -> Any:
    """``graph`` (GraphDef) with convolutions in place of the products with constant kernels (C, units)."""
    import tensorflow as tf

    constants = {node.name: node for node in graph.node if node.op == "Const"}

    def rewritten(node: Any) -> list[Any] | None:
        kernel = constants.get(node.input[1]) if node.op == "MatMul" else None
        if kernel is None or node.attr["transpose_a"].b or node.attr["transpose_b"].b:
            return None
        return _convolution(node, tf.make_ndarray(kernel.attr["value"].tensor))

    return _rewritten(graph, rewritten)


def without_negations(graph: Any) -> Any:
    """``graph`` (GraphDef) with products in place of negations, except in GELU, which the converter knows by them."""
    producers = {node.name: node for node in graph.node}
    kept = set()
    for node in graph.node:
        if node.op == "Erfc":
            kept |= {node.input[0], *producers[node.input[0]].input}

    return _rewritten(graph, lambda node: _product(node) if node.op == "Neg" and node.name not in kept else None)


def _rewritten(graph: Any, rewrite: Callable[[Any], list[Any] | None]) -> Any:
    """``graph`` with the nodes that ``rewrite`` gives in the place of a node, unless it gives none."""
    result = type(graph)()
    result.CopyFrom(graph)
    del result.node[:]
    for node in graph.node:
        result.node.extend(rewrite(node) or [node])
    return result


def _product(node: Any) -> list[Any]:
    """``node`` as a product of its input and a constant."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        dtype = tf.as_dtype(node.attr["T"].type)
        values = tf.compat.v1.placeholder(dtype, name="values")
        tf.multiply(values, tf.constant(-1, dtype), name="result")
    return _named(graph, node)


def _convolution(node: Any, kernel: np.ndarray[Any, Any]) -> list[Any]:
    """(N, C) becomes (N, 1, 1, C) and back to (N, units). The last node has the name of ``node``."""
    import tensorflow as tf

    channels, units = kernel.shape
    with tf.Graph().as_default() as graph:
        values = tf.compat.v1.placeholder(tf.float32, (None, channels), name="values")
        pixel = tf.reshape(values, (-1, 1, 1, channels))
        convolved = tf.nn.conv2d(pixel, tf.constant(kernel[np.newaxis, np.newaxis]), 1, "VALID")
        tf.reshape(convolved, (-1, units), name="result")
    return _named(graph, node)


def _named(graph: Any, node: Any) -> list[Any]:
    """The nodes of ``graph``, which computes ``result`` from ``values``, in the place of ``node``."""
    names = {"values": node.input[0], "result": node.name}
    made = [one for one in graph.as_graph_def().node if one.name != "values"]
    for one in made:
        one.name = names.get(one.name, f"{node.name}/{one.name}")
        one.input[:] = [names.get(name, f"{node.name}/{name}") for name in one.input]
    return made
