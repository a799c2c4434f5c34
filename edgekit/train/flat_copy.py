"""A flat copy of a Keras model: models inside it are dissolved, and its own scaling of the pixels joins the network's.

Stages need a flat network, because exports, sensitivity and fine-tuning name single layers. What does nothing in
inference (augmentation, noise) is left out. Every layer is a new object with copied weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.device.scaling import Scaling

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

COLOUR, IMAGE_RANK = 3, 4


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

    def normalized(self, scale: Array, offset: Array) -> Pixels:
        """This, after a Normalization layer."""
        return self.then(scale, offset)

    def scaled(self, scaling: Scaling) -> Pixels:
        """This, scaled as a model expects its input. For grey pixels, ``scaling`` is the same for all channels."""
        channels = len(self.scale)
        factor, shift = 1 / np.array(scaling.std[:channels]), -np.array(scaling.mean[:channels])
        pixels = self.reversed_channels() if scaling.bgr and channels == COLOUR else self
        return pixels.then(factor, shift * factor)

    def reversed_channels(self) -> Pixels:
        """This, with the channels in reverse order."""
        return replace(self, reverse=not self.reverse)

    @property
    def is_plain(self) -> bool:
        return bool(np.all(self.scale == 1) and np.all(self.offset == 0))


@dataclass
class FlatCopy:
    """Copies models into one flat graph.

    ``taken`` are names that layers must not have, and ``names`` are other names for layers. Without ``rescale``,
    scaling at the input is left out. With ``always_scale``, there is a scaling layer even where it does nothing.
    ``left_out`` names what was left out.
    """

    taken: set[str] = field(default_factory=set)
    names: Mapping[str, str] = field(default_factory=dict)
    rescale: bool = True
    always_scale: bool = False
    left_out: list[str] = field(default_factory=list)
    _copies: dict[int, Any] = field(default_factory=dict)
    _weights: list[tuple[Any, Any]] = field(default_factory=list)
    _scaled: dict[int, tuple[Pixels, keras.KerasTensor]] = field(default_factory=dict)

    def apply(self, model: Any, pixels: Pixels) -> keras.KerasTensor:
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

    def original_of(self, copy: Any) -> Any:
        """The layer that ``copy`` was copied from."""
        return next(original for made, original in self._weights if made is copy)

    def new_name(self, wanted: str) -> str:
        """``wanted``, or with a number if a layer has this name already."""
        name, number = wanted, 1
        while name in self.taken:
            name, number = f"{wanted}_{number}", number + 1
        self.taken.add(name)
        return name

    def _run(self, model: Any, *inputs: Any) -> Any:
        functional = model._functional if isinstance(model, keras.Sequential) else model
        return functional._run_through_graph(list(inputs), operation_fn=self._operation)

    def _operation(self, operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            kwargs = {key: value for key, value in kwargs.items() if key not in ("training", "mask")}
            if isinstance(operation, keras.Model):
                return self._run(operation, *keras.tree.flatten((args, kwargs)))
            if is_identity(operation):
                self.left_out.append(operation.name)
                return args[0]
            pixels = [value for value in args if isinstance(value, Pixels)]
            scaled = _scaled(operation, pixels[0], (*args, *kwargs.values())) if len(pixels) == 1 else None
            if scaled is not None:
                return scaled if self.rescale else pixels[0]
            if len(args) == 1 and isinstance(args[0], Pixels) and not kwargs:
                return self._on_pixels(operation, args[0])
            args, kwargs = keras.tree.map_structure(self._tensor, (args, kwargs))
            return self._translated(operation, args, kwargs)

        return call

    def _on_pixels(self, operation: Any, pixels: Pixels) -> Any:
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

    def _translated(self, operation: Any, args: Any, kwargs: Any) -> Any:
        if not isinstance(operation, keras.layers.Layer):
            output = self._as_layer(operation, args)
            if output is not None:
                return output
            self.taken.add(operation.name)
            return operation(*args, **kwargs)
        if type(operation).__name__ == "Normalization" and (affine := _normalization(operation)) is not None:
            scale, offset = affine
            return keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=self.new_name(operation.name))(args[0])
        return self._copy(operation)(*args, **kwargs)

    def _as_layer(self, operation: Any, args: Any) -> Any:
        """The output of a layer that computes what an ``operation`` of ``keras.ops`` computes; None without one."""
        kind, layers = type(operation).__name__, keras.layers
        name = self.names.get(operation.name, operation.name)
        flat = keras.tree.flatten(args)
        if kind in ACTIVATIONS:
            return layers.Activation(ACTIVATIONS[kind], name=self.new_name(name))(args[0])
        if kind in ("Add", "Multiply", "Subtract") and len(flat) == 2 and _all_tensors(flat):
            return getattr(layers, kind)(name=self.new_name(name))(flat)
        if kind == "Mean" and tuple(np.atleast_1d(operation.axis or ())) in ((1, 2), (2, 1)):
            return layers.GlobalAveragePooling2D(keepdims=operation.keepdims, name=self.new_name(name))(args[0])
        found = _arithmetic(kind, args, lambda value: isinstance(value, keras.KerasTensor))
        if found is None or not _fits_rescaling(*found):
            return None
        tensor, scale, offset = found
        return layers.Rescaling(_plain(scale), offset=_plain(offset), name=self.new_name(name))(tensor)

    def _tensor(self, value: Any) -> Any:
        return self._materialize(value) if isinstance(value, Pixels) else value

    def _materialize(self, pixels: Pixels) -> keras.KerasTensor:
        """``pixels`` as a tensor: at most one Rescaling, and one convolution where channels change their order."""
        for known, tensor in self._scaled.values():
            if _same(known, pixels):
                return tensor
        tensor = pixels.tensor
        if not pixels.is_plain or (self.always_scale and not self._scaled):
            settings = {"scale": _plain(pixels.scale), "offset": _plain(pixels.offset)}
            tensor = keras.layers.Rescaling(**settings, name=self.new_name("scaling"))(tensor)
        if pixels.reverse:
            convolution = keras.layers.Conv2D(len(pixels.scale), 1, use_bias=False, name=self.new_name("channels"))
            tensor = convolution(tensor)
            convolution.set_weights([np.eye(len(pixels.scale))[::-1][np.newaxis, np.newaxis]])
        self._scaled[len(self._scaled)] = (pixels, tensor)
        return tensor

    def _copy(self, layer: Any) -> Any:
        if id(layer) not in self._copies:
            copy = self._copies[id(layer)] = self._new(layer)
            self._weights.append((copy, layer))
        return self._copies[id(layer)]

    def _new(self, layer: Any) -> Any:
        name = self.new_name(self.names.get(layer.name, layer.name))
        config = {**layer.get_config(), "name": name, "dtype": "float32"}
        return type(layer).from_config(config)


@dataclass(frozen=True)
class _ReversedKernel:
    """A convolution whose input channels are in reverse order."""

    layer: Any

    def get_weights(self) -> list[NDArray[Any]]:
        kernel, *rest = self.layer.get_weights()
        return [kernel[:, :, ::-1, :], *rest]


ACTIVATIONS = {
    "Gelu": "gelu",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "Softmax": "softmax",
    "Tanh": "tanh",
}
"""Operations of ``keras.ops`` that are activations, with their names in ``keras.activations``."""


def float32_copy(network: keras.Model) -> keras.Model:
    """The same network in 32-bit floats, whatever precision it was trained in."""
    copy = FlatCopy(always_scale=True)
    image = keras.Input(network.input.shape[1:], name=network.layers[0].name)
    made = keras.Model(image, copy.apply(network, Pixels.plain(image)), name=network.name)
    copy.copy_weights()
    return made


def is_identity(layer: Any) -> bool:
    """Whether a layer returns its input in inference. Dropout counts as a layer that belongs to the network."""
    kind = type(layer).__name__
    if kind == "Activation":
        return bool(layer.activation.__name__ == "linear") and "probabilities" not in layer.name
    return kind in IDENTITIES or is_augmentation(layer)


def is_augmentation(layer: Any) -> bool:
    """Whether a layer changes images in training only."""
    return any("base_image_preprocessing_layer" in base.__module__ for base in type(layer).__mro__) and bool(
        re.match(r"Rand|Random|Aug|Auto|CutMix|Equal|MixUp|Solar", type(layer).__name__)
    )


def merged_name(names: Iterable[str], most: int = 4) -> str:
    """``a, b, c and 5 more``."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _scaled(operation: Any, pixels: Pixels, args: Any) -> Pixels | None:
    """``pixels`` after an operation on ``args`` that scales them or reverses their channels; None for any other."""
    kind, channels = type(operation).__name__, len(pixels.scale)
    if _reverses(operation, args) and channels == COLOUR:
        return pixels.reversed_channels()
    if kind == "Rescaling":
        return pixels.then(np.asarray(operation.scale, np.float64), np.asarray(operation.offset, np.float64))
    affine = _normalization(operation) if kind == "Normalization" else None
    if affine is not None:
        return pixels.normalized(*affine)
    found = _arithmetic(kind, args, lambda value: isinstance(value, Pixels))
    affine = None if found is None else (found[1].reshape(-1), found[2].reshape(-1))
    if affine is None or any(numbers.size not in (1, channels) for numbers in affine):
        return None
    return pixels.then(*affine)


def _normalization(layer: Any) -> tuple[Array, Array] | None:
    """Scale and offset of a Normalization over the channels; None for one over other axes."""
    shape = layer.get_build_config() or {}
    rank = len(shape.get("input_shape") or (None,) * 4)
    if layer.axis not in ((), (rank - 1,), (-1,)) or layer.invert:
        return None
    numbers = (np.asarray(keras.ops.convert_to_numpy(value), np.float64) for value in (layer.mean, layer.variance))
    mean, variance = (value.reshape(-1) for value in numbers)
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    return 1 / deviation, -mean / deviation


def _arithmetic(kind: str, args: Any, is_value: Callable[[Any], bool]) -> tuple[Any, Array, Array] | None:
    """The one operand that ``is_value``, with the scale and offset that a constant operand means."""
    if len(args) != 2 or is_value(args[0]) == is_value(args[1]):
        return None
    first = is_value(args[0])
    value, other = args if first else args[::-1]
    try:
        constant = np.asarray(other, np.float64)
    except (TypeError, ValueError):
        return None
    one, zero = np.ones(1), np.zeros(1)
    meanings = {"Add": (one, constant), "Multiply": (constant, zero)}
    meanings["Subtract"] = (one, -constant) if first else (-one, constant)
    if first and np.all(constant != 0):
        meanings["Divide"] = meanings["TrueDivide"] = (1 / constant, zero)
    return (value, *meanings[kind]) if kind in meanings else None


def _all_tensors(values: Iterable[Any]) -> bool:
    return all(isinstance(value, keras.KerasTensor) for value in values)


def _fits_rescaling(tensor: keras.KerasTensor, *numbers: Array) -> bool:
    return all(number.size in (1, tensor.shape[-1]) for number in numbers)


def _reverses(operation: Any, args: Any) -> bool:
    """Whether an operation on an image is ``flip(x, -1)`` or ``x[..., ::-1]``."""
    if type(operation).__name__ == "Flip":
        return tuple(np.atleast_1d(operation.axis)) in ((-1,), (IMAGE_RANK - 1,))
    key = args[1] if type(operation).__name__ == "GetItem" and len(args) > 1 else None
    if not isinstance(key, (tuple, list)) or not key or key[-1] != slice(None, None, -1):
        return False
    whole = all(part is Ellipsis or part == slice(None) for part in key[:-1])
    return whole and (any(part is Ellipsis for part in key) or len(key) == IMAGE_RANK)


def _plain(values: Array) -> float | list[float]:
    """One number where all are equal: converters make a smaller operation of it."""
    flat = np.asarray(values, np.float64).reshape(-1)
    return float(flat[0]) if np.all(flat == flat[0]) else [float(v) for v in flat]


def _same(a: Pixels, b: Pixels) -> bool:
    same = np.array_equal(a.scale, b.scale) and np.array_equal(a.offset, b.offset)
    return a.tensor is b.tensor and a.reverse == b.reverse and same
