"""Multiply-accumulates of a network for one image, counted layer by layer from its shapes."""

from __future__ import annotations

from math import prod
from typing import Any

import keras


def multiply_accumulates(network: keras.Model) -> int:
    """How often an answer to one image multiplies two numbers and adds the result: convolutions and dense layers.

    Batch normalisation, activations, pooling and additions are not counted, as is usual: they are a percent or two,
    and converters fold most of them away. A network inside a network counts with its layers.
    """
    return sum(_of_layer(layer) for layer in network.layers)


def _of_layer(layer: Any) -> int:
    if hasattr(layer, "layers"):
        return multiply_accumulates(layer)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        each = prod(layer.kernel_size)
    elif isinstance(layer, keras.layers.Conv2D):
        each = prod(layer.kernel_size) * (layer.input.shape[-1] // layer.groups)
    elif isinstance(layer, keras.layers.Dense):
        each = layer.input.shape[-1]
    else:
        return 0
    return int(prod(layer.output.shape[1:]) * each)
