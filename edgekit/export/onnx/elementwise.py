"""Keras activations, arithmetic and normalization, as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import Any

import numpy as np

from edgekit.export.onnx.graph import Graph, Value, unsupported
from edgekit.export.onnx.shapes import TO_NCHW, TO_NHWC


def activated(graph: Graph, layer: Any, value: Value, name: str, kind: str) -> Value:
    """``value`` after the activation ``kind`` of ``layer``."""
    if kind == "linear":
        return value
    if kind == "softmax" and value.rank != 2:
        raise unsupported(layer, f"softmax on a tensor of rank {value.rank}")
    if kind not in ACTIVATIONS:
        raise unsupported(layer, f"the activation {kind}")
    return Value(ACTIVATIONS[kind](graph, value.name, name), value.rank)


def clip(graph: Graph, value: str, name: str, *, highest: float) -> str:
    """Values between 0 and ``highest``."""
    limits = [
        graph.constant(f"{name}/low", np.array(0.0, np.float32)),
        graph.constant(f"{name}/high", np.array(highest, np.float32)),
    ]
    return graph.add("Clip", name, [value, *limits])


def _node(op: str, **attributes: Any) -> Callable[[Graph, str, str], str]:
    def add(graph: Graph, value: str, name: str) -> str:
        return graph.add(op, name, [value], **attributes)

    return add


def _silu(graph: Graph, value: str, name: str) -> str:
    return graph.add("Mul", name, [value, graph.add("Sigmoid", f"{name}/sigmoid", [value])])


def _gelu(graph: Graph, value: str, name: str) -> str:
    """0.5 x (1 + erf(x / sqrt(2))). ONNX Runtime makes one operator of these nodes."""

    def number(what: str, content: float) -> str:
        return graph.constant(f"{name}/{what}", np.array(content, np.float32))

    scaled = graph.add("Div", f"{name}/div", [value, number("sqrt2", sqrt(2))])
    shifted = graph.add("Add", f"{name}/add", [graph.add("Erf", f"{name}/erf", [scaled]), number("one", 1.0)])
    product = graph.add("Mul", f"{name}/mul", [value, shifted])
    return graph.add("Mul", name, [product, number("half", 0.5)])


ACTIVATIONS: dict[str, Callable[[Graph, str, str], str]] = {
    "elu": _node("Elu"),
    "gelu": _gelu,
    "hard_sigmoid": _node("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_silu": _node("HardSwish"),
    "relu": _node("Relu"),
    "relu6": partial(clip, highest=6.0),
    "selu": _node("Selu"),
    "sigmoid": _node("Sigmoid"),
    "silu": _silu,
    "softmax": _node("Softmax", axis=-1),
    "softplus": _node("Softplus"),
    "softsign": _node("Softsign"),
    "tanh": _node("Tanh"),
}
"""By name of the function in ``keras.activations``."""


def merged(op: str, graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """A layer that combines its inputs one after the other."""
    names = [graph.materialize(value, f"{layer.name}/{i}").name for i, value in enumerate(inputs)]
    ranks = {value.rank for value in inputs}
    if len(ranks) > 1:
        raise unsupported(layer, f"{type(layer).__name__} of tensors with different ranks")
    result = names[0]
    for i, other in enumerate(names[1:], 1):
        last = i == len(names) - 1
        result = graph.add(op, layer.name if last else f"{layer.name}/{i}", [result, other])
    return Value(result, inputs[0].rank)


def leaky_relu(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """LeakyReLU."""
    value = graph.materialize(inputs[0], layer.name)
    return Value(graph.add("LeakyRelu", layer.name, [value.name], alpha=float(layer.negative_slope)), value.rank)


def elu(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """ELU."""
    value = graph.materialize(inputs[0], layer.name)
    return Value(graph.add("Elu", layer.name, [value.name], alpha=float(layer.alpha)), value.rank)


def prelu(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """PReLU; its slopes (H, W, C) may be shared over axes."""
    value = graph.materialize(inputs[0], layer.name)
    slope = np.asarray(layer.alpha, np.float32)
    if value.rank == 4:
        slope = slope.transpose(2, 0, 1)
    return Value(graph.add("PRelu", layer.name, [value.name, graph.constant(f"{layer.name}/alpha", slope)]), value.rank)


def softmax(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """Softmax over the classes."""
    value = graph.materialize(inputs[0], layer.name)
    if value.rank != 2 or layer.axis not in (-1, 1):
        raise unsupported(layer, "Softmax over another axis than the classes")
    return Value(graph.add("Softmax", layer.name, [value.name], axis=-1), 2)


def layer_scale(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """The factor per channel at the end of a ConvNeXt block."""
    value = graph.materialize(inputs[0], layer.name)
    gamma = np.asarray(layer.gamma, np.float32)
    factor = graph.constant(f"{layer.name}/gamma", gamma.reshape(-1, 1, 1) if value.rank == 4 else gamma)
    return Value(graph.add("Mul", layer.name, [value.name, factor]), value.rank)


def layer_normalization(graph: Graph, layer: Any, inputs: list[Value]) -> Value:
    """Over the channels. The operator normalizes the last axis, so a tensor of rank 4 is transposed and back."""
    value = graph.materialize(inputs[0], layer.name)
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    if list(axes) not in ([-1], [value.rank - 1]) or getattr(layer, "rms_scaling", False):
        raise unsupported(layer, "LayerNormalization over other axes than the channels")
    channels = layer.input.shape[-1]
    gamma = np.asarray(layer.gamma, np.float32) if layer.scale else np.ones(channels, np.float32)
    beta = np.asarray(layer.beta, np.float32) if layer.center else np.zeros(channels, np.float32)
    names = [graph.constant(f"{layer.name}/gamma", gamma), graph.constant(f"{layer.name}/beta", beta)]
    settings = {"axis": -1, "epsilon": float(layer.epsilon)}
    if value.rank == 2:
        return Value(graph.add("LayerNormalization", layer.name, [value.name, *names], **settings), 2)
    turned = graph.add("Transpose", f"{layer.name}/to_nhwc", [value.name], perm=TO_NHWC)
    output = graph.add("LayerNormalization", layer.name, [turned, *names], **settings)
    return Value(graph.add("Transpose", f"{layer.name}/to_nchw", [output], perm=TO_NCHW), 4)
