"""A flat copy of a Keras model: models inside it are dissolved, and its own scaling of the pixels joins the network's.

Stages need a flat network, because exports, sensitivity and fine-tuning name single layers. What does nothing in
inference (augmentation, noise) is left out. Every layer is a new object with copied weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

IDENTITIES = (
    "ActivityRegularization",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout2D",
    "StochasticDepth",
)
"""Layers that return their input in inference. Augmentation layers are another kind: see :func:`is_augmentation`."""

PER_CHANNEL = ("ZeroPadding2D", "MaxPooling2D", "Cropping2D")
"""Layers that treat every channel alike, so that the order of channels may change after them as well as before."""

COLOUR = 3


@dataclass(frozen=True)
class Pixels:
    """An image ``tensor`` (N, H, W, C) with operations that are not in the graph yet.

    The value is ``tensor * scale + offset`` for each channel, and then, if ``reverse`` is set, the channels in reverse
    order. ``scale`` and ``offset`` are (C,).
    """

    tensor: keras.KerasTensor
    scale: Array
    offset: Array
    reverse: bool = False

    @classmethod
    def plain(cls, tensor: keras.KerasTensor) -> Pixels:
        """``tensor`` as it is."""
        channels = int(tensor.shape[-1])
        return cls(tensor, np.ones(channels), np.zeros(channels))

    def then(self, scale: Array | float, offset: Array | float) -> Pixels:
        """This, followed by ``x * scale + offset``, whose channels are in the order of the value."""
        factor, shift = (np.broadcast_to(np.asarray(v, np.float64), self.scale.shape) for v in (scale, offset))
        if self.reverse:
            factor, shift = factor[::-1], shift[::-1]
        return replace(self, scale=self.scale * factor, offset=self.offset * factor + shift)

    def reversed_channels(self) -> Pixels:
        """This, with the channels in reverse order."""
        return replace(self, reverse=not self.reverse)

    @property
    def is_plain(self) -> bool:
        return bool(np.all(self.scale == 1) and np.all(self.offset == 0))


@dataclass
class FlatCopy:
    """Copies models into one flat graph. ``taken`` are names that layers must not have; ``left_out`` are reported."""

    taken: set[str] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)
    _copies: dict[int, Any] = field(default_factory=dict)
    _weights: list[tuple[Any, Any]] = field(default_factory=list)
    _scaled: dict[int, tuple[Pixels, keras.KerasTensor]] = field(default_factory=dict)

    def apply(self, model: Any, pixels: Pixels) -> keras.KerasTensor:  # noqa: ANN401  # a Keras model
        """The output of ``model`` on ``pixels``, as a tensor of a graph of new layers.

        Call :meth:`copy_weights` when the whole network has been built.
        """
        value = self._run(model, pixels)
        return self._materialize(value) if isinstance(value, Pixels) else value

    def copy_weights(self) -> None:
        """Give every layer that was copied the weights of the original."""
        for copy, original in self._weights:
            copy.set_weights(original.get_weights())
            if hasattr(copy, "finalize_state"):  # Normalization computes its factors once
                copy.finalize_state()

    def original_of(self, copy: Any) -> Any:  # noqa: ANN401  # a Keras layer
        """The layer that ``copy`` was copied from."""
        return next(original for made, original in self._weights if made is copy)

    def new_name(self, wanted: str) -> str:
        """``wanted``, or with a number if a layer has this name already."""
        name, number = wanted, 1
        while name in self.taken:
            name, number = f"{wanted}_{number}", number + 1
        self.taken.add(name)
        return name

    def _run(self, model: Any, *inputs: Any) -> Any:  # noqa: ANN401  # tensors, or pixels
        functional = model._functional if isinstance(model, keras.Sequential) else model
        return functional._run_through_graph(list(inputs), operation_fn=self._operation)

    def _operation(self, operation: Any) -> Callable[..., Any]:  # noqa: ANN401  # a layer or operation of Keras
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # as any layer
            kwargs = {key: value for key, value in kwargs.items() if key not in ("training", "mask")}
            if isinstance(operation, keras.Model):
                return self._run(operation, *keras.tree.flatten((args, kwargs)))
            if is_identity(operation):
                self.left_out.append(operation.name)
                return args[0]
            if isinstance(args[0], Pixels) if args else False:
                scaled = _scaled(operation, args, kwargs)
                if scaled is not None:
                    return scaled
            if len(args) == 1 and isinstance(args[0], Pixels) and not kwargs:
                return self._on_pixels(operation, args[0])
            args, kwargs = keras.tree.map_structure(self._tensor, (args, kwargs))
            return self._translated(operation, args, kwargs)

        return call

    def _on_pixels(self, operation: Any, pixels: Pixels) -> Any:  # noqa: ANN401  # a layer or operation
        """Apply a layer to an image: a reversed order of channels passes through, or goes into the kernel."""
        kind = type(operation).__name__
        if pixels.reverse and kind in (*PER_CHANNEL, "Conv2D") and getattr(operation, "groups", 1) == 1:
            tensor = self._materialize(replace(pixels, reverse=False))
            if kind in PER_CHANNEL:
                return Pixels.plain(self._copy(operation)(tensor)).reversed_channels()
            copy = self._new(operation)
            output = copy(tensor)
            self._weights.append((copy, _ReversedKernel(operation)))
            return output
        return self._translated(operation, (self._materialize(pixels),), {})

    def _translated(self, operation: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401  # any arguments of a layer
        kind = type(operation).__name__
        if isinstance(operation, keras.layers.Layer):
            if kind == "Normalization" and (affine := _normalization(operation)) is not None:
                scale, offset = affine
                settings = {"scale": scale.tolist(), "offset": offset.tolist()}
                return keras.layers.Rescaling(**settings, name=self.new_name(operation.name))(args[0])
            return self._copy(operation)(*args, **kwargs)
        name = self.new_name(operation.name)
        if kind in ("Softmax", "Sigmoid", "Relu", "Relu6", "Silu", "Tanh", "HardSigmoid", "HardSilu", "Gelu"):
            return keras.layers.Activation(ACTIVATIONS.get(kind, kind.lower()), name=name)(args[0])
        if kind in ("Add", "Multiply", "Subtract") and len(keras.tree.flatten(args)) == 2 and _both_tensors(args):
            return getattr(keras.layers, kind)(name=name)(list(keras.tree.flatten(args)))
        affine = _arithmetic(kind, args, lambda value: isinstance(value, keras.KerasTensor))
        if affine is not None:
            tensor, scale, offset = affine
            if _fits_rescaling(tensor, scale, offset):
                return keras.layers.Rescaling(_plain(scale), offset=_plain(offset), name=name)(tensor)
        if kind == "Mean" and tuple(np.atleast_1d(operation.axis or ())) in ((1, 2), (2, 1)):
            return keras.layers.GlobalAveragePooling2D(keepdims=operation.keepdims, name=name)(args[0])
        self.taken.add(operation.name)
        return operation(*args, **kwargs)

    def _tensor(self, value: Any) -> Any:  # noqa: ANN401  # a tensor, pixels, or a constant
        return self._materialize(value) if isinstance(value, Pixels) else value

    def _materialize(self, pixels: Pixels) -> keras.KerasTensor:
        """``pixels`` as a tensor: at most one Rescaling, and one convolution where channels change their order."""
        for known, tensor in self._scaled.values():
            if _same(known, pixels):
                return tensor
        tensor = pixels.tensor
        if not pixels.is_plain:
            settings = {"scale": _plain(pixels.scale), "offset": _plain(pixels.offset)}
            tensor = keras.layers.Rescaling(**settings, name=self.new_name("scaling"))(tensor)
        if pixels.reverse:
            convolution = keras.layers.Conv2D(len(pixels.scale), 1, use_bias=False, name=self.new_name("channels"))
            tensor = convolution(tensor)
            convolution.set_weights([np.eye(len(pixels.scale))[::-1][np.newaxis, np.newaxis]])
        self._scaled[len(self._scaled)] = (pixels, tensor)
        return tensor

    def _copy(self, layer: Any) -> Any:  # noqa: ANN401  # a Keras layer
        if id(layer) not in self._copies:
            copy = self._copies[id(layer)] = self._new(layer)
            self._weights.append((copy, layer))
        return self._copies[id(layer)]

    def _new(self, layer: Any) -> Any:  # noqa: ANN401  # a Keras layer
        config = {**layer.get_config(), "name": self.new_name(layer.name), "dtype": "float32"}
        return type(layer).from_config(config)


@dataclass(frozen=True)
class _ReversedKernel:
    """A convolution whose input channels are in reverse order."""

    layer: Any

    def get_weights(self) -> list[NDArray[Any]]:
        kernel, *rest = self.layer.get_weights()
        return [kernel[:, :, ::-1, :], *rest]


ACTIVATIONS = {"HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu"}
"""Activations whose name is not that of the operation in lower case."""


def is_identity(layer: Any) -> bool:  # noqa: ANN401  # a layer or operation of Keras
    """Whether a layer returns its input in inference. Dropout counts as a layer that belongs to the network."""
    kind = type(layer).__name__
    if kind == "Activation":
        return bool(layer.activation.__name__ == "linear") and "probabilities" not in layer.name
    return kind in IDENTITIES or is_augmentation(layer)


def is_augmentation(layer: Any) -> bool:  # noqa: ANN401  # a layer or operation of Keras
    """Whether a layer changes images in training only."""
    return any("base_image_preprocessing_layer" in base.__module__ for base in type(layer).__mro__) and bool(
        re.match(r"Rand|Random|Aug|Auto|CutMix|Equal|MixUp|Solar", type(layer).__name__)
    )


def merged_name(names: Iterable[str], most: int = 4) -> str:
    """``a, b, c and 5 more``."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _scaled(operation: Any, args: Any, kwargs: Any) -> Pixels | None:  # noqa: ANN401  # any arguments
    """The pixels after an operation that scales them or reverses their channels; None for any other operation."""
    pixels, kind = args[0], type(operation).__name__
    if kind == "Rescaling":
        return pixels.then(np.asarray(operation.scale, np.float64), np.asarray(operation.offset, np.float64))
    if kind == "Normalization":
        affine = _normalization(operation)
        return None if affine is None else pixels.then(*affine)
    if kind == "Flip" and _last_axis(operation.axis, 4) and len(pixels.scale) == COLOUR:
        return pixels.reversed_channels()
    if kind == "GetItem" and len(pixels.scale) == COLOUR and _reverses(args[1] if len(args) > 1 else kwargs.get("key")):
        return pixels.reversed_channels()
    found = _arithmetic(kind, (*args, *kwargs.values()), lambda value: isinstance(value, Pixels))
    if found is None:
        return None
    _, scale, offset = found
    if scale.size not in (1, len(pixels.scale)) or offset.size not in (1, len(pixels.scale)):
        return None
    return pixels.then(scale.reshape(-1), offset.reshape(-1))


def _normalization(layer: Any) -> tuple[Array, Array] | None:  # noqa: ANN401  # a Keras layer
    """Scale and offset of a Normalization over the channels; None for one over other axes."""
    shape = layer.get_build_config() or {}
    rank = len(shape.get("input_shape") or (None,) * 4)
    if layer.axis not in ((), (rank - 1,), (-1,)) or layer.invert:
        return None
    mean, variance = (
        np.asarray(keras.ops.convert_to_numpy(v), np.float64).reshape(-1) for v in (layer.mean, layer.variance)
    )
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    return 1 / deviation, -mean / deviation


def _arithmetic(kind: str, args: Any, is_value: Callable[[Any], bool]) -> tuple[Any, Array, Array] | None:  # noqa: ANN401
    """The one operand that ``is_value``, with the scale and offset that a constant operand means."""
    if len(args) != 2 or kind not in ("Add", "Subtract", "Multiply", "Divide", "TrueDivide"):
        return None
    left, right = args
    if is_value(left) == is_value(right):
        return None
    try:
        constant = np.asarray(right if is_value(left) else left, np.float64)
    except (TypeError, ValueError):
        return None
    value, one, zero = (left if is_value(left) else right), np.ones(1), np.zeros(1)
    if kind == "Add":
        return value, one, constant
    if kind == "Multiply":
        return value, constant, zero
    if kind == "Subtract":
        return (value, one, -constant) if is_value(left) else (value, -one, constant)
    return (value, 1 / constant, zero) if is_value(left) else None


def _both_tensors(args: Any) -> bool:  # noqa: ANN401  # any arguments
    return all(isinstance(value, keras.KerasTensor) for value in keras.tree.flatten(args))


def _fits_rescaling(tensor: keras.KerasTensor, *numbers: Array) -> bool:
    return all(number.size in (1, tensor.shape[-1]) for number in numbers)


def _last_axis(axis: Any, rank: int) -> bool:  # noqa: ANN401  # an int, or a list of one
    return tuple(np.atleast_1d(axis)) in ((-1,), (rank - 1,))


def _reverses(key: Any) -> bool:  # noqa: ANN401  # an index
    if not isinstance(key, (tuple, list)) or not key or key[-1] != slice(None, None, -1):
        return False
    return all(part is Ellipsis or part == slice(None) for part in key[:-1]) and (Ellipsis in key or len(key) == 4)


def _plain(values: Array) -> float | list[float]:
    """One number where all are equal: converters make a smaller operation of it."""
    flat = np.asarray(values, np.float64).reshape(-1)
    return float(flat[0]) if np.all(flat == flat[0]) else [float(v) for v in flat]


def _same(a: Pixels, b: Pixels) -> bool:
    return (
        a.tensor is b.tensor
        and a.reverse == b.reverse
        and np.array_equal(a.scale, b.scale)
        and np.array_equal(a.offset, b.offset)
    )
