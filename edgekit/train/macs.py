"""Counts the multiply-accumulates of a network for one image, layer by layer, from the shapes."""

from __future__ import annotations

from math import prod

import keras


def multiply_accumulates(network: keras.Model) -> int:
    """Multiply-accumulates of all convolutions and dense layers for one image.

    As usual, batch normalisation, activations, pooling and additions do not count: they make up a percent or two, and
    converters fold most of them away. The layers of a nested model count too.
    """
    return sum(_of_layer(layer) for layer in network.layers)


def _of_layer(layer: keras.layers.Layer) -> int:
    if isinstance(layer, keras.Model):
        return multiply_accumulates(layer)
    if isinstance(layer, keras.layers.SeparableConv2D):  # a depthwise convolution, then one of 1x1
        middle = prod(layer.output.shape[1:-1]) * layer.input.shape[-1] * layer.depth_multiplier
        return int(middle * (prod(layer.kernel_size) + layer.filters))
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        each = prod(layer.kernel_size)
    elif isinstance(layer, keras.layers.Conv2D):
        each = prod(layer.kernel_size) * (layer.input.shape[-1] // layer.groups)
    elif isinstance(layer, keras.layers.Dense):
        each = layer.input.shape[-1]
    else:
        return 0
    return int(prod(layer.output.shape[1:]) * each)
