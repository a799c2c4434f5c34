"""A network as a list of plain layers: no BatchNorm behind a convolution, no Dropout; Keras 3 and tf_keras build it.

TensorFlow Model Optimization takes tf_keras models only, so what it trains is a twin of the network trained with
Keras 3. BatchNorm is folded first. In inference that is the same function; in fine-tuning the statistics of pretrained
BatchNorms would stay as they are anyway; a kernel that is pruned or clustered is then the very one in the file, which
a factor per channel would undo; and int8 sees no BatchNorm that stands alone, which it cannot quantize.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import CheckFailed, EdgekitError
from edgekit.export.head_folding import fold_head

Array = NDArray[np.float32]

CARRIED_TOLERANCE = 1e-4
"""Largest difference in probability between the network and its twin."""

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
"""Layers that are known, and which of their settings make a difference in inference; the same in both libraries."""

_KERNELS = ("Conv2D", "DepthwiseConv2D", "Dense")


@dataclass(frozen=True)
class PlainLayer:
    """One layer: ``kind`` is its class in Keras, ``inputs`` are names of layers, ``weights`` as Keras orders them.

    ``shape`` of its output without the batch.
    """

    name: str
    kind: str
    settings: dict[str, Any]
    inputs: tuple[str, ...]
    weights: tuple[Array, ...]
    shape: tuple[int, ...]

    @property
    def has_kernel(self) -> bool:
        return self.kind in _KERNELS


@dataclass(frozen=True)
class PlainNetwork:
    """The layers in the order of computation; the first takes pixels (N, H, W, 3), the last gives probabilities."""

    name: str
    image_size: int
    layers: tuple[PlainLayer, ...]

    def build(self, library: Any) -> Any:
        """The model with its weights; ``library`` is ``keras`` or ``tf_keras``. Takes float32 (N, H, W, 3), 0-255."""
        image = library.Input((self.image_size, self.image_size, 3), name="image")
        tensors = {"image": image}
        for layer in self.layers:
            given = [tensors[name] for name in layer.inputs]
            made = getattr(library.layers, layer.kind)(**layer.settings, name=layer.name)
            if layer.kind == "BatchNormalization":
                made.trainable = False  # also: its statistics stay
            tensors[layer.name] = made(given if len(given) > 1 else given[0])
        model = library.Model(image, tensors[self.layers[-1].name], name=self.name)
        for layer in self.layers:
            if layer.weights:
                model.get_layer(layer.name).set_weights(list(layer.weights))
        return model

    def with_convolutions_only(self) -> PlainNetwork:
        """The same function, its scaling and lone BatchNorms as 1x1 depthwise convolutions: what int8 can quantize."""
        return replace(self, layers=tuple(_as_convolution(layer) for layer in self.layers))


def plain_network(network: Any) -> PlainNetwork:
    """The layers of ``network``, a Keras 3 model as :func:`edgekit.train.network.build_network` makes it.

    BatchNorms are folded into the layer before them where it has a kernel, those of the head into the layer behind;
    a BatchNorm between other layers (ResNet50V2) stays one. Raises :class:`EdgekitError` for an unknown layer.
    """
    folded = fold_head(network)
    layers = [_read(layer) for layer in folded.layers if type(layer).__name__ != "InputLayer"]
    layers = _without_dropout(layers)
    for batchnorm in [layer for layer in layers if layer.kind == "BatchNormalization"]:
        layers = _folded(layers, batchnorm)
    return PlainNetwork(network.name, int(network.input.shape[1]), tuple(layers))


def verify_carried_over(keras: Array, twin: Array) -> float:
    """Largest difference between two sets of probabilities (N, classes); :class:`CheckFailed` above 1e-4."""
    difference = float(np.abs(keras - twin).max())
    if not difference <= CARRIED_TOLERANCE:  # also NaN
        raise CheckFailed(
            f"the network's copy for TensorFlow Model Optimization gives other probabilities, by up to "
            f"{difference:.2g} (allowed: {CARRIED_TOLERANCE:g}), so nothing was trained with it",
            hint="this is a defect of edgekit: please report it with the backbone and the versions that "
            "`edgekit doctor` shows",
        )
    return difference


def _read(layer: Any) -> PlainLayer:
    kind = type(layer).__name__
    if kind not in _SETTINGS:
        raise EdgekitError(
            f"the layer {layer.name} is a {kind}, which cannot be trained for smaller files yet",
            hint=f"layers that can: {', '.join(_SETTINGS)}",
        )
    config = layer.get_config()
    tensors = layer.input if isinstance(layer.input, (list, tuple)) else [layer.input]
    return PlainLayer(
        name=layer.name,
        kind=kind,
        settings={key: config[key] for key in _SETTINGS[kind]},
        inputs=tuple(tensor._keras_history.operation.name for tensor in tensors),
        weights=tuple(np.asarray(w, np.float32) for w in layer.get_weights()),
        shape=tuple(layer.output.shape[1:]),
    )


def _without_dropout(layers: Sequence[PlainLayer]) -> list[PlainLayer]:
    kept = list(layers)
    for dropout in [layer for layer in layers if layer.kind == "Dropout"]:
        kept = _removed(kept, dropout)
    return kept


def _removed(layers: Sequence[PlainLayer], gone: PlainLayer) -> list[PlainLayer]:
    """``layers`` without ``gone``, which has one input: those that read it read that instead."""
    return [
        replace(layer, inputs=tuple(gone.inputs[0] if name == gone.name else name for name in layer.inputs))
        for layer in layers
        if layer.name != gone.name
    ]


def _folded(layers: list[PlainLayer], batchnorm: PlainLayer) -> list[PlainLayer]:
    by_name = {layer.name: layer for layer in layers}
    source = by_name.get(batchnorm.inputs[0])
    readers = [layer for layer in layers if batchnorm.name in layer.inputs]
    alone = source is not None and sum(source.name in layer.inputs for layer in layers) == 1
    if source is not None and alone and source.has_kernel and source.settings["activation"] == "linear":
        changed = _scaled_outputs(source, *_affine(batchnorm))
        return [changed if layer.name == changed.name else layer for layer in _removed(layers, batchnorm)]
    if len(batchnorm.shape) == 1 and all(layer.kind == "Dense" for layer in readers):
        changes = {layer.name: _scaled_inputs(layer, *_affine(batchnorm), batchnorm) for layer in readers}
        return _removed([changes.get(layer.name, layer) for layer in layers], batchnorm)
    return layers


def _affine(layer: PlainLayer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factor and shift (channels,) of a BatchNorm or Rescaling layer in inference."""
    channels = layer.shape[-1]
    if layer.kind == "Rescaling":
        scale, offset = (np.asarray(layer.settings[key], np.float64) for key in ("scale", "offset"))
        return np.broadcast_to(scale, channels), np.broadcast_to(offset, channels)
    gamma, beta, mean, variance = (w.astype(np.float64) for w in layer.weights)
    factor = gamma / np.sqrt(variance + layer.settings["epsilon"])
    return factor, beta - mean * factor


def _scaled_outputs(layer: PlainLayer, factor: NDArray[np.float64], shift: NDArray[np.float64]) -> PlainLayer:
    kernel = layer.weights[0].astype(np.float64)
    bias = layer.weights[1].astype(np.float64) if layer.settings["use_bias"] else np.zeros(len(factor))
    per_output = factor.reshape(kernel.shape[-2:]) if layer.kind == "DepthwiseConv2D" else factor
    weights = ((kernel * per_output).astype(np.float32), (bias * factor + shift).astype(np.float32))
    return replace(layer, settings={**layer.settings, "use_bias": True}, weights=weights)


def _scaled_inputs(
    layer: PlainLayer, factor: NDArray[np.float64], shift: NDArray[np.float64], batchnorm: PlainLayer
) -> PlainLayer:
    kernel = layer.weights[0].astype(np.float64)
    bias = layer.weights[1].astype(np.float64) if layer.settings["use_bias"] else np.zeros(kernel.shape[1])
    weights = ((kernel * factor[:, np.newaxis]).astype(np.float32), (bias + shift @ kernel).astype(np.float32))
    inputs = tuple(batchnorm.inputs[0] if name == batchnorm.name else name for name in layer.inputs)
    return replace(layer, inputs=inputs, settings={**layer.settings, "use_bias": True}, weights=weights)


def _as_convolution(layer: PlainLayer) -> PlainLayer:
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
