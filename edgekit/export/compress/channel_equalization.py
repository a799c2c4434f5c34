"""Channel equalization: all channels of a kernel get the same magnitude while the network is fine-tuned.

Folding a BatchNorm leaves kernels in which some channels are a hundred times as large as others. In such a kernel, the
smallest weights are whole channels, a small channel gets a single centroid, and a step of Adam, which is equally large
for every weight, is too large for one channel and too small for another. Here each channel is divided by its magnitude,
and a frozen BatchNorm after the layer multiplies by it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgekit.export.compress.tf_keras_copy import Array, PortableLayer, PortableNetwork

_AXES: dict[str, tuple[int, ...]] = {"Conv2D": (0, 1, 2), "DepthwiseConv2D": (0, 1), "Dense": (0,)}
"""The axes of a kernel that one output channel spans."""

_SMALLEST = 1e-12


def with_equalized_channels(network: PortableNetwork) -> PortableNetwork:
    """The same function with equalized kernels.

    Each layer with a kernel, except the last, becomes up to three layers: NAME, NAME_magnitude and NAME_activation.
    """
    layers: list[PortableLayer] = []
    ends: dict[str, str] = {}
    for layer in network.layers:
        read = replace(layer, inputs=tuple(ends.get(name, name) for name in layer.inputs))
        parts = _split(read) if layer.has_kernel and layer is not network.layers[-1] else [read]
        layers += parts
        ends[layer.name] = parts[-1].name
    return replace(network, layers=tuple(layers))


def with_trained_weights(network: PortableNetwork, model: Any) -> PortableNetwork:
    """``network`` with the weights of ``model``, which was built from ``with_equalized_channels(network)``."""

    def trained(layer: PortableLayer) -> PortableLayer:
        if not layer.weights:
            return layer
        weights = [np.asarray(w, np.float32) for w in model.get_layer(layer.name).get_weights()]
        if layer.has_kernel and layer is not network.layers[-1]:
            weights = _multiplied(layer, weights, _magnitudes(layer))
        return replace(layer, weights=tuple(weights))

    return replace(network, layers=tuple(map(trained, network.layers)))


def _split(layer: PortableLayer) -> list[PortableLayer]:
    magnitudes = _magnitudes(layer)
    weights = tuple(_multiplied(layer, list(layer.weights), np.float32(1) / magnitudes))
    kernel = replace(layer, settings={**layer.settings, "activation": "linear"}, weights=weights)
    zeros = np.zeros_like(magnitudes)
    scaling = PortableLayer(
        name=f"{layer.name}_magnitude",
        kind="BatchNormalization",
        settings={"epsilon": 0.0},
        inputs=(layer.name,),
        weights=(magnitudes, zeros, zeros, np.ones_like(magnitudes)),
        shape=layer.shape,
    )
    if layer.settings["activation"] == "linear":
        return [kernel, scaling]
    activation = PortableLayer(
        name=f"{layer.name}_activation",
        kind="Activation",
        settings={"activation": layer.settings["activation"]},
        inputs=(scaling.name,),
        weights=(),
        shape=layer.shape,
    )
    return [kernel, scaling, activation]


def _magnitudes(layer: PortableLayer) -> Array:
    """Root mean square (channels,) of each channel's weights, relative to that of the whole kernel."""
    squares = np.square(layer.weights[0].astype(np.float64))
    channels = np.sqrt(squares.mean(axis=_AXES[layer.kind])).reshape(-1)
    magnitudes = channels / max(float(np.sqrt(squares.mean())), _SMALLEST)
    return np.asarray(np.where(magnitudes > _SMALLEST, magnitudes, 1.0), np.float32)  # an all-zero channel stays zero


def _multiplied(layer: PortableLayer, weights: list[Array], factor: Array) -> list[Array]:
    """``weights`` of ``layer``, a kernel and an optional bias, with each channel multiplied by its factor."""
    kernel, *bias = weights
    per_output = factor.reshape(kernel.shape[-2:]) if layer.kind == "DepthwiseConv2D" else factor
    return [kernel * per_output, *(b * factor for b in bias)]
