"""A network as a list of layers that both Keras 3 and tf_keras can build, without Dropout and with BatchNorm folded.

TensorFlow Model Optimization only supports tf_keras models, so it trains a copy of the Keras 3 network. BatchNorm is
folded first, for three reasons. Fine-tuning would not change the statistics of pretrained BatchNorms anyway. A pruned
or clustered kernel is then the kernel in the file, without a factor per channel that would undo it. And int8 cannot
quantize a BatchNorm that stands alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import CheckFailed, ConversionFailed
from edgekit.export.head_folding import fold_head

Array = NDArray[np.float32]

COPY_TOLERANCE = 1e-4
"""Largest allowed difference in probability between the network and its tf_keras copy."""

_SETTINGS: dict[str, tuple[str, ...]] = {
    "Rescaling": ("scale", "offset"),
    "Conv2D": ("filters", "kernel_size", "strides", "padding", "activation", "use_bias"),
    "DepthwiseConv2D": ("kernel_size", "strides", "padding", "depth_multiplier", "activation", "use_bias"),
    "Dense": ("units", "activation", "use_bias"),
    "BatchNormalization": ("epsilon",),
    "ReLU": ("max_value",),
    "Activation": ("activation",),
    "ZeroPadding2D": ("padding",),
    "MaxPooling2D": ("pool_size", "strides", "padding"),
    "AveragePooling2D": ("pool_size", "strides", "padding"),
    "GlobalAveragePooling2D": (),
    "Add": (),
    "Dropout": ("rate",),
}
"""The supported layers and those of their settings that matter for inference; both libraries share them."""

_KERNELS = ("Conv2D", "DepthwiseConv2D", "Dense")


@dataclass(frozen=True)
class PortableLayer:
    """One layer: ``kind`` is its Keras class, ``inputs`` are names of layers, ``weights`` are in Keras's order.

    ``shape`` is that of its output, without the batch axis.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    inputs: tuple[str, ...]
    weights: tuple[Array, ...]
    shape: tuple[int, ...]

    @property
    def has_kernel(self) -> bool:
        return self.kind in _KERNELS


@dataclass(frozen=True)
class PortableNetwork:
    """The layers in the order of computation, from pixels (N, H, W, 3) to probabilities."""

    name: str
    image_size: int
    layers: tuple[PortableLayer, ...]

    def build(self, library: Any) -> Any:
        """The model with its weights; ``library`` is ``keras`` or ``tf_keras``. Input float32 (N, H, W, 3), 0-255."""
        image = library.Input((self.image_size, self.image_size, 3), name="image")
        tensors = {"image": image}
        for layer in self.layers:
            given = [tensors[name] for name in layer.inputs]
            made = getattr(library.layers, layer.kind)(**layer.settings, name=layer.name)
            if layer.kind == "BatchNormalization":
                made.trainable = False  # this also freezes its statistics
            tensors[layer.name] = made(given if len(given) > 1 else given[0])
        model = library.Model(image, tensors[self.layers[-1].name], name=self.name)
        for layer in self.layers:
            if layer.weights:
                model.get_layer(layer.name).set_weights(list(layer.weights))
        return model

    def with_convolutions_only(self) -> PortableNetwork:
        """The same function; scaling and lone BatchNorms are 1x1 depthwise convolutions, which int8 can quantize."""
        return replace(self, layers=tuple(_as_convolution(layer) for layer in self.layers))


def portable_network(network: Any) -> PortableNetwork:
    """The layers of ``network``, a Keras 3 model from :func:`edgekit.train.network.build_network`.

    A BatchNorm is folded into the layer before it where that has a kernel, and one of the head into the layer after
    it; a BatchNorm between other layers (ResNet50V2) stays. Raises :class:`ConversionFailed` for an unsupported layer.
    """
    folded = fold_head(network)
    layers = [_read(layer) for layer in folded.layers if type(layer).__name__ != "InputLayer"]
    layers = _without_dropout(layers)
    for batchnorm in [layer for layer in layers if layer.kind == "BatchNormalization"]:
        layers = _folded(layers, batchnorm)
    return PortableNetwork(network.name, int(network.input.shape[1]), tuple(layers))


def verify_copy(keras: Array, copy: Array) -> float:
    """Largest difference between two sets of probabilities (N, classes); :class:`CheckFailed` above 1e-4."""
    difference = float(np.abs(keras - copy).max())
    if not difference <= COPY_TOLERANCE:  # also NaN
        raise CheckFailed(
            f"the network's tf_keras copy gives different probabilities: they differ by up to {difference:.2g} "
            f"(allowed: {COPY_TOLERANCE:g}), so it was not trained",
            hint="this is a bug in edgekit; please report it with the backbone and the output of `edgekit doctor`",
        )
    return difference


def _read(layer: Any) -> PortableLayer:
    kind = type(layer).__name__
    if kind not in _SETTINGS:
        raise ConversionFailed(
            f"the layer {layer.name} is a {kind}, which QAT, pruning and clustering do not support",
            hint=f"supported layers: {', '.join(_SETTINGS)}",
        )
    config = layer.get_config()
    tensors = layer.input if isinstance(layer.input, (list, tuple)) else [layer.input]
    return PortableLayer(
        name=layer.name,
        kind=kind,
        settings={key: config[key] for key in _SETTINGS[kind]},
        inputs=tuple(tensor._keras_history.operation.name for tensor in tensors),
        weights=tuple(np.asarray(w, np.float32) for w in layer.get_weights()),
        shape=tuple(layer.output.shape[1:]),
    )


def _without_dropout(layers: Sequence[PortableLayer]) -> list[PortableLayer]:
    kept = list(layers)
    for dropout in [layer for layer in layers if layer.kind == "Dropout"]:
        kept = _without(kept, dropout)
    return kept


def _without(layers: Sequence[PortableLayer], removed: PortableLayer) -> list[PortableLayer]:
    """``layers`` without ``removed``, which has one input: its consumers take that input instead."""
    return [
        replace(layer, inputs=tuple(removed.inputs[0] if name == removed.name else name for name in layer.inputs))
        for layer in layers
        if layer.name != removed.name
    ]


def _folded(layers: list[PortableLayer], batchnorm: PortableLayer) -> list[PortableLayer]:
    by_name = {layer.name: layer for layer in layers}
    source = by_name.get(batchnorm.inputs[0])
    readers = [layer for layer in layers if batchnorm.name in layer.inputs]
    alone = source is not None and sum(source.name in layer.inputs for layer in layers) == 1
    if source is not None and alone and source.has_kernel and source.settings["activation"] == "linear":
        changed = _scaled_outputs(source, *_affine(batchnorm))
        return [changed if layer.name == changed.name else layer for layer in _without(layers, batchnorm)]
    if len(batchnorm.shape) == 1 and all(layer.kind == "Dense" for layer in readers):
        changes = {layer.name: _scaled_inputs(layer, *_affine(batchnorm), batchnorm) for layer in readers}
        return _without([changes.get(layer.name, layer) for layer in layers], batchnorm)
    return layers


def _affine(layer: PortableLayer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factor and shift (channels,) that a BatchNorm or Rescaling layer applies in inference."""
    channels = layer.shape[-1]
    if layer.kind == "Rescaling":
        scale, offset = (np.asarray(layer.settings[key], np.float64) for key in ("scale", "offset"))
        return np.broadcast_to(scale, channels), np.broadcast_to(offset, channels)
    gamma, beta, mean, variance = (w.astype(np.float64) for w in layer.weights)
    factor = gamma / np.sqrt(variance + layer.settings["epsilon"])
    return factor, beta - mean * factor


def _scaled_outputs(layer: PortableLayer, factor: NDArray[np.float64], shift: NDArray[np.float64]) -> PortableLayer:
    kernel = layer.weights[0].astype(np.float64)
    bias = layer.weights[1].astype(np.float64) if layer.settings["use_bias"] else np.zeros(len(factor))
    per_output = factor.reshape(kernel.shape[-2:]) if layer.kind == "DepthwiseConv2D" else factor
    weights = ((kernel * per_output).astype(np.float32), (bias * factor + shift).astype(np.float32))
    return replace(layer, settings={**layer.settings, "use_bias": True}, weights=weights)


def _scaled_inputs(
    layer: PortableLayer, factor: NDArray[np.float64], shift: NDArray[np.float64], batchnorm: PortableLayer
) -> PortableLayer:
    kernel = layer.weights[0].astype(np.float64)
    bias = layer.weights[1].astype(np.float64) if layer.settings["use_bias"] else np.zeros(kernel.shape[1])
    weights = ((kernel * factor[:, np.newaxis]).astype(np.float32), (bias + shift @ kernel).astype(np.float32))
    inputs = tuple(batchnorm.inputs[0] if name == batchnorm.name else name for name in layer.inputs)
    return replace(layer, inputs=inputs, settings={**layer.settings, "use_bias": True}, weights=weights)


def _as_convolution(layer: PortableLayer) -> PortableLayer:
    if layer.kind not in ("Rescaling", "BatchNormalization"):
        return layer
    factor, shift = _affine(layer)
    kernel = factor.astype(np.float32).reshape(1, 1, -1, 1)
    settings = {
        "kernel_size": (1, 1),
        "strides": (1, 1),
        "padding": "valid",
        "depth_multiplier": 1,
        "activation": "linear",
        "use_bias": True,
    }
    weights = (kernel, shift.astype(np.float32))
    return replace(layer, kind="DepthwiseConv2D", settings=settings, weights=weights)
