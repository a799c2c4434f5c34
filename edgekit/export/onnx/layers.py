"""A Keras network as an ONNX graph, layer by layer, without TensorFlow.

To support another layer class, write one function and add one entry to :data:`LAYERS`; a class that is not there is
refused by name. BatchNorm and zero padding are folded into convolutions, so runtimes and quantizers see simple graphs.
Tensors are NHWC in Keras and NCHW here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from edgekit.export.onnx import elementwise, shapes
from edgekit.export.onnx.graph import Array, Graph, Value, unsupported

OPSET = 17
IR_VERSION = 8
"""The oldest version that supports opset 17; old runtimes on a target refuse newer ones."""

INPUT = "image"
OUTPUT = "probabilities"


def build_onnx(network: Any, image_size: int) -> Any:
    """The ModelProto of a flat functional ``network``: ``image`` uint8 (1, H, W, 3) to ``probabilities`` (1, classes).

    Raises :class:`edgekit.export.onnx.graph.UnsupportedLayer` for a layer that has no translation.
    """
    from onnx import TensorProto, helper

    consumers: dict[int, list[Any]] = {}
    for layer in network.layers:
        for tensor in _inputs(layer) if len(layer._inbound_nodes) == 1 else ():
            consumers.setdefault(id(tensor), []).append(layer)
    graph = Graph(consumers)
    # Transposed while it is still uint8, which moves a quarter of the memory.
    turned = graph.add("Transpose", "input/transpose", [INPUT], perm=[0, 3, 1, 2])
    pixels = graph.add("Cast", "input/cast", [turned], to=TensorProto.FLOAT)
    values = {id(network.inputs[0]): Value(pixels, 4)}
    for layer in network.operations:
        if type(layer).__name__ != "InputLayer":
            if layer not in network.layers or len(layer._inbound_nodes) != 1:
                raise unsupported(layer, f"layers that are used twice, or operations like {type(layer).__name__}")
            inputs = [values[id(tensor)] for tensor in _inputs(layer)]
            values[id(layer.output)] = _translate(graph, layer, inputs)
    result = values[id(network.outputs[0])]
    graph.nodes[-1].output[0] = OUTPUT
    assert result.name == f"{graph.nodes[-1].name}:0", "the network's output is its last layer's"
    shape = [1, image_size, image_size, 3]
    document = helper.make_graph(
        graph.nodes,
        network.name,
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, network.output_shape[-1]])],
        graph.initializers,
    )
    return helper.make_model(document, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def _inputs(layer: Any) -> list[Any]:
    if type(layer).__name__ == "InputLayer":
        return []
    return list(layer.input) if isinstance(layer.input, (list, tuple)) else [layer.input]


def _translate(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    kind = type(layer).__name__
    if layer.name in graph.folded:
        return inputs[0]
    if kind not in LAYERS:
        raise unsupported(layer, kind)
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise unsupported(layer, f"{kind} with data_format {layer.data_format}")
    return LAYERS[kind](graph, layer, inputs)


def _rescaling(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    value = graph.materialize(inputs[0], layer.name)
    shape = (-1, 1, 1) if value.rank == 4 else (-1,)
    scale, offset = (np.asarray(number, np.float32).reshape(shape) for number in (layer.scale, layer.offset))
    return Value(graph.affine(value.name, scale, offset, layer.name), value.rank)


def _convolution(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """Kernels (h, w, C / groups, filters); depthwise ones are (h, w, C, multiplier)."""
    kernel = np.asarray(layer.kernel, np.float32)
    if type(layer).__name__ == "DepthwiseConv2D":
        groups = kernel.shape[2]
        kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
    else:
        groups = layer.groups
    kernel = kernel.transpose(3, 2, 0, 1)
    bias = np.asarray(layer.bias, np.float32) if layer.use_bias else np.zeros(len(kernel), np.float32)
    kernel, bias = _with_batchnorm(graph, layer, kernel, bias)
    output = graph.add(
        "Conv",
        layer.name,
        [inputs[0].name, graph.constant(f"{layer.name}/kernel", kernel), graph.constant(f"{layer.name}/bias", bias)],
        kernel_shape=kernel.shape[2:],
        strides=layer.strides,
        dilations=layer.dilation_rate,
        group=groups,
        pads=_pads(layer, inputs[0], kernel.shape[2:], layer.dilation_rate),
    )
    return _activated(graph, layer, Value(output, 4))


def _separable(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """A depthwise convolution (h, w, C, multiplier) without bias, then a convolution of 1x1."""
    depthwise = np.asarray(layer.depthwise_kernel, np.float32)
    channels = depthwise.shape[2]
    depthwise = depthwise.reshape(*depthwise.shape[:2], 1, -1).transpose(3, 2, 0, 1)
    middle = graph.add(
        "Conv",
        f"{layer.name}/depthwise",
        [inputs[0].name, graph.constant(f"{layer.name}/depthwise_kernel", depthwise)],
        kernel_shape=depthwise.shape[2:],
        strides=layer.strides,
        dilations=layer.dilation_rate,
        group=channels,
        pads=_pads(layer, inputs[0], depthwise.shape[2:], layer.dilation_rate),
    )
    kernel = np.asarray(layer.pointwise_kernel, np.float32).transpose(3, 2, 0, 1)
    bias = np.asarray(layer.bias, np.float32) if layer.use_bias else np.zeros(len(kernel), np.float32)
    kernel, bias = _with_batchnorm(graph, layer, kernel, bias)
    names = [graph.constant(f"{layer.name}/kernel", kernel), graph.constant(f"{layer.name}/bias", bias)]
    return _activated(graph, layer, Value(graph.add("Conv", layer.name, [middle, *names], kernel_shape=[1, 1]), 4))


def _with_batchnorm(graph: Graph, layer: Any, kernel: Array, bias: Array) -> tuple[Array, Array]:
    """A kernel (filters, C, h, w) and its bias, with the BatchNorm that follows ``layer`` folded in."""
    batchnorm = graph.following_batchnorm(layer) if _activation(layer) == "linear" else None
    if batchnorm is None:
        return kernel, bias
    scale, shift = _scale_and_shift(batchnorm)
    graph.folded.add(batchnorm.name)
    return kernel * scale[:, None, None, None], bias * scale + shift


def _batchnorm(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """A BatchNorm that cannot be folded: a depthwise 1x1 convolution, quantized per channel, or deferred to a Dense."""
    scale, shift = _scale_and_shift(layer)
    value = graph.materialize(inputs[0], layer.name)
    if value.rank == 2:
        return Value(value.name, 2, affine=(scale, shift))
    kernel = graph.constant(f"{layer.name}/kernel", scale.reshape(-1, 1, 1, 1))
    bias = graph.constant(f"{layer.name}/bias", shift)
    output = graph.add("Conv", layer.name, [value.name, kernel, bias], kernel_shape=[1, 1], group=len(scale))
    return Value(output, 4)


def _dense(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    kernel = np.asarray(layer.kernel, np.float32).T
    bias = np.asarray(layer.bias, np.float32) if layer.use_bias else np.zeros(len(kernel), np.float32)
    value = inputs[0]
    if value.rank == 4:  # on every pixel: a convolution with a kernel of 1x1
        value = graph.materialize(value, layer.name)
        kernel = kernel[..., None, None]
        names = [graph.constant(f"{layer.name}/kernel", kernel), graph.constant(f"{layer.name}/bias", bias)]
        output = graph.add("Conv", layer.name, [value.name, *names], kernel_shape=[1, 1])
        return _activated(graph, layer, Value(output, 4))
    if value.affine is not None:
        scale, shift = value.affine
        kernel, bias = kernel * scale, bias + kernel @ shift
    names = [graph.constant(f"{layer.name}/kernel", kernel), graph.constant(f"{layer.name}/bias", bias)]
    return _activated(graph, layer, Value(graph.add("Gemm", layer.name, [value.name, *names], transB=1), 2))


def _max_pool(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    value = graph.materialize(inputs[0], layer.name)
    pads = _pads(layer, value, layer.pool_size, (1, 1))
    output = graph.add(
        "MaxPool", layer.name, [value.name], kernel_shape=layer.pool_size, strides=layer.strides, pads=pads
    )
    return Value(output, 4)


def _average_pool(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    value = graph.materialize(inputs[0], layer.name)
    return shapes.average_pool(graph, layer, value, _pads(layer, value, layer.pool_size, (1, 1)))


def _global_average(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    pooled = graph.add("GlobalAveragePool", layer.name, [graph.materialize(inputs[0], layer.name).name])
    if layer.keepdims:
        return Value(pooled, 4)
    return Value(graph.add("Flatten", f"{layer.name}/flatten", [pooled]), 2)


def _zero_padding(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    (top, bottom), (left, right) = layer.padding
    value = graph.materialize(inputs[0], layer.name)
    padded = Value(value.name, 4, pads=(top, left, bottom, right))
    takers = graph.consumers[id(layer.output)]
    if all(type(taker).__name__ in CONVOLUTIONS and taker.padding == "valid" for taker in takers):
        return padded
    return graph.materialize(padded, layer.name)


def _relu(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    if layer.negative_slope or layer.threshold:
        raise unsupported(layer, "ReLU with a slope or a threshold")
    value = graph.materialize(inputs[0], layer.name)
    if layer.max_value is None:
        return Value(graph.add("Relu", layer.name, [value.name]), value.rank)
    return Value(elementwise.clip(graph, value.name, layer.name, highest=float(layer.max_value)), value.rank)


def _activation_layer(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    return _activated(graph, layer, graph.materialize(inputs[0], layer.name), own=True)


def _unchanged(graph: Graph, layer: Any, inputs: list[Value]) -> Value:  # noqa: ARG001 - the table's signature
    return inputs[0]


def _activated(graph: Graph, layer: Any, value: Value, *, own: bool = False) -> Value:
    """Apply the layer's activation; ``own``: the node is the layer itself, not a part of it."""
    kind = _activation(layer)
    return elementwise.activated(graph, layer, value, layer.name if own else f"{layer.name}/{kind}", kind)


def _activation(layer: Any) -> str:
    return str(layer.activation.__name__)


def _scale_and_shift(layer: Any) -> tuple[Array, Array]:
    """BatchNormalization in inference as ``x * scale + shift`` per channel."""
    mean, variance = np.asarray(layer.moving_mean, np.float64), np.asarray(layer.moving_variance, np.float64)
    gamma = np.asarray(layer.gamma, np.float64) if layer.scale else np.ones_like(mean)
    beta = np.asarray(layer.beta, np.float64) if layer.center else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + layer.epsilon)
    return scale.astype(np.float32), (beta - mean * scale).astype(np.float32)


def _pads(layer: Any, value: Value, kernel: Any, dilation: Any) -> list[int]:
    """Padding (top, left, bottom, right): what ``value`` still has to get, and the layer's own.

    ``same`` puts the odd row at the end, as TensorFlow does:
    https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    before, after = list(value.pads[:2]), list(value.pads[2:])
    if layer.padding == "same":
        for axis in (0, 1):
            size, step = layer.input.shape[1 + axis], layer.strides[axis]
            reach = (kernel[axis] - 1) * dilation[axis] + 1
            total = max((-(-size // step) - 1) * step + reach - size, 0)
            before[axis] += total // 2
            after[axis] += total - total // 2
    return [*before, *after]


CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")

LAYERS: dict[str, Callable[[Graph, Any, list[Value]], Value]] = {
    "Activation": _activation_layer,
    "Add": partial(elementwise.merged, "Add"),
    "AveragePooling2D": _average_pool,
    "BatchNormalization": _batchnorm,
    "Concatenate": shapes.concatenate,
    "Conv2D": _convolution,
    "Cropping2D": shapes.cropping,
    "Dense": _dense,
    "DepthwiseConv2D": _convolution,
    "Dropout": _unchanged,
    "ELU": elementwise.elu,
    "Flatten": shapes.flatten,
    "GlobalAveragePooling2D": _global_average,
    "GlobalMaxPooling2D": shapes.global_max,
    "LayerNormalization": elementwise.layer_normalization,
    "LayerScale": elementwise.layer_scale,
    "LeakyReLU": elementwise.leaky_relu,
    "MaxPooling2D": _max_pool,
    "Maximum": partial(elementwise.merged, "Max"),
    "Minimum": partial(elementwise.merged, "Min"),
    "Multiply": partial(elementwise.merged, "Mul"),
    "PReLU": elementwise.prelu,
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "Reshape": shapes.reshape,
    "SeparableConv2D": _separable,
    "Softmax": elementwise.softmax,
    "Subtract": partial(elementwise.merged, "Sub"),
    "ZeroPadding2D": _zero_padding,
}
"""By class of the layer. Networks with other layers are converted from TensorFlow by tf2onnx."""
