"""The same network with the channels of every kernel of one size, to train it on, and back.

A BatchNorm that was folded leaves kernels some of whose channels are a hundred times as large as others. There the
smallest weights of a kernel are whole channels, one centroid has to do for all of a small one, and a step of Adam, as
large for each weight, is too much for one channel and nothing to another. Here each channel is divided by its size,
and a frozen BatchNorm behind the layer multiplies with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgekit.export.compress.tf_keras_copy import Array, PlainLayer, PlainNetwork

_AXES: dict[str, tuple[int, ...]] = {"Conv2D": (0, 1, 2), "DepthwiseConv2D": (0, 1), "Dense": (0,)}
"""Of a kernel, those that one output channel extends over."""

_SMALLEST = 1e-12


def with_even_channels(network: PlainNetwork) -> PlainNetwork:
    """The same function; a layer with a kernel, but the last, becomes itself, NAME_size and NAME_activation."""
    layers: list[PlainLayer] = []
    ends: dict[str, str] = {}
    for layer in network.layers:
        read = replace(layer, inputs=tuple(ends.get(name, name) for name in layer.inputs))
        parts = _split(read) if layer.has_kernel and layer is not network.layers[-1] else [read]
        layers += parts
        ends[layer.name] = parts[-1].name
    return replace(network, layers=tuple(layers))


def with_weights_of_even(network: PlainNetwork, model: Any) -> PlainNetwork:
    """``network`` with the weights that ``model``, built from ``with_even_channels(network)``, has now."""

    def trained(layer: PlainLayer) -> PlainLayer:
        if not layer.weights:
            return layer
        weights = [np.asarray(w, np.float32) for w in model.get_layer(layer.name).get_weights()]
        if layer.has_kernel and layer is not network.layers[-1]:
            weights = _multiplied(layer, weights, _sizes(layer))
        return replace(layer, weights=tuple(weights))

    return replace(network, layers=tuple(map(trained, network.layers)))


def _split(layer: PlainLayer) -> list[PlainLayer]:
    sizes = _sizes(layer)
    weights = tuple(_multiplied(layer, list(layer.weights), np.float32(1) / sizes))
    kernel = replace(layer, settings={**layer.settings, "activation": "linear"}, weights=weights)
    none = np.zeros_like(sizes)
    size = PlainLayer(
        name=f"{layer.name}_size",
        kind="BatchNormalization",
        settings={"epsilon": 0.0},
        inputs=(layer.name,),
        weights=(sizes, none, none, np.ones_like(sizes)),
        shape=layer.shape,
    )
    if layer.settings["activation"] == "linear":
        return [kernel, size]
    activation = PlainLayer(
        name=f"{layer.name}_activation",
        kind="Activation",
        settings={"activation": layer.settings["activation"]},
        inputs=(size.name,),
        weights=(),
        shape=layer.shape,
    )
    return [kernel, size, activation]


def _sizes(layer: PlainLayer) -> Array:
    """Root mean square (channels,) of each channel's weights, over that of the whole kernel."""
    squares = np.square(layer.weights[0].astype(np.float64))
    channels = np.sqrt(squares.mean(axis=_AXES[layer.kind])).reshape(-1)
    sizes = channels / max(float(np.sqrt(squares.mean())), _SMALLEST)
    return np.asarray(np.where(sizes > _SMALLEST, sizes, 1.0), np.float32)  # a channel that is all zero stays so


def _multiplied(layer: PlainLayer, weights: list[Array], factor: Array) -> list[Array]:
    """``weights`` of ``layer``, a kernel and where it has one a bias, each channel times its factor."""
    kernel, *bias = weights
    per_output = factor.reshape(kernel.shape[-2:]) if layer.kind == "DepthwiseConv2D" else factor
    return [kernel * per_output, *(b * factor for b in bias)]
