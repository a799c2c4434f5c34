"""The two ends of a model that was made elsewhere: what it takes, and what its output means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import InputError
from edgekit.train.flat_copy import FlatCopy

GREY = (0.299, 0.587, 0.114)
"""Red, green and blue in a grey image, as Pillow and the usual libraries convert it (ITU-R BT.601)."""

PASSED = ("Flatten", "Reshape", "Dropout", "GlobalAveragePooling2D")
"""Layers after the activation that keep one value for each class."""

MIN_SIDE, MAX_SIDE = 8, 2048

Values = NDArray[np.float32]


@dataclass(frozen=True)
class InputForm:
    """What a model takes: square images of ``side`` pixels with ``channels``, 3 (RGB) or 1 (grey)."""

    side: int
    channels: int

    def colours(self, pixels: Values) -> Values:
        """``pixels`` (N, H, W, 3) as the model takes them."""
        if self.channels == COLOUR:
            return pixels
        return np.asarray(pixels @ np.array(GREY, np.float32), np.float32)[..., np.newaxis]


COLOUR = 3


@dataclass(frozen=True)
class OutputForm:
    """What the output means. ``activation`` is that of the last layer, ``n_outputs`` its number of values."""

    activation: str
    n_outputs: int
    already_probabilities: bool = False

    @property
    def classes(self) -> int:
        """Number of classes: a single output tells two classes apart."""
        return max(2, self.n_outputs)

    @property
    def description(self) -> str:
        """What the last layer is, and what was made of it."""
        if self.already_probabilities or self.activation == "softmax":
            return "softmax"
        if self.n_outputs == 1:
            what = "sigmoid" if self.activation == "sigmoid" else "linear output, read as a logit"
            return f"one {what}: the probability of the second class; the network gives both"
        if self.activation == "sigmoid":
            return "a sigmoid for each class; replaced by a softmax, which predicts the same class"
        return "linear; a softmax was added, which predicts the same class"

    def probabilities(self, outputs: Values) -> Values:
        """Probabilities (N, classes) of the model's own ``outputs`` (N, n_outputs)."""
        values = outputs.reshape(len(outputs), -1).astype(np.float64)
        if self.already_probabilities or (self.activation == "softmax" and self.n_outputs > 1):
            return values.astype(np.float32)
        if self.activation == "sigmoid":
            values = np.clip(values, 1e-12, 1 - 1e-12)
            values = np.log(values) - np.log1p(-values)
        if self.n_outputs == 1:
            values = np.concatenate([np.zeros_like(values), values], axis=1)
        values = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(values / values.sum(axis=1, keepdims=True), np.float32)


def input_form(model: Any, image_size: int | None, path: Path) -> InputForm:
    """The input of ``model``; builds one that has no fixed input yet, for ``image_size``.

    Raises :class:`InputError` if it does not take one square image in channels-last order.
    """
    if not model.built or getattr(model, "inputs", None) is None or not model.inputs:
        if image_size is None:
            raise _without_size(path)
        try:
            model.build((None, image_size, image_size, COLOUR))
        except Exception as error:  # whatever layers raise
            raise InputError(
                f"this model cannot be built for {image_size}x{image_size} RGB images: {error}", where=str(path)
            ) from error
    if len(model.inputs) != 1:
        names = ", ".join(tensor.name for tensor in model.inputs)
        raise InputError(
            f"this model has {len(model.inputs)} inputs ({names}); an image classifier has one", where=str(path)
        )
    shape = tuple(model.inputs[0].shape)
    if len(shape) != 4:
        raise InputError(
            f"the input of this model has the shape {_shape(shape)}, which is not that of images (N, H, W, C)",
            where=str(path),
        )
    _refuse_channels_first(model, shape, path)
    _, height, width, channels = shape
    if channels not in (1, COLOUR):
        raise InputError(
            f"this model takes images with {channels} channels (input {_shape(shape)}); edgekit imports models for RGB "
            "and grey images",
            where=str(path),
        )
    if height is not None and width is not None and height != width:
        raise InputError(
            f"this model takes images of {height}x{width} pixels; a run needs square images",
            where=str(path),
            hint="convert it to a .tflite or .onnx file and measure that with edgekit bench FILE, or rebuild it with a "
            "square input if it ends in a global pooling",
        )
    side = height or width
    if side is None and image_size is None:
        raise _without_size(path)
    if side is not None and image_size not in (None, side):
        raise InputError(
            f"this model takes images of {side}x{side} pixels, not {image_size}x{image_size}",
            where=str(path),
            hint="leave out --image-size",
        )
    side = int(side or image_size or 0)
    if not MIN_SIDE <= side <= MAX_SIDE:
        raise InputError(f"this model takes images of {side}x{side} pixels, outside of 8 to 2048", where=str(path))
    return InputForm(side, int(channels))


def output_form(model: Any, path: Path) -> OutputForm:
    """What the output of ``model`` is, by its last layers; :class:`InputError` if it is not that of a classifier."""
    if len(model.outputs) != 1:
        names = ", ".join(str(name) for name in model.output_names)
        raise InputError(
            f"this model has {len(model.outputs)} outputs ({names}); a classifier has one",
            where=str(path),
            hint="save a model with the output of the classifier only: keras.Model(model.input, model.outputs[0])",
        )
    shape = tuple(model.outputs[0].shape)
    if len(shape) not in (2, 4) or shape[-1] is None or any(side not in (1, None) for side in shape[1:-1]):
        raise InputError(
            f"the output of this model has the shape {_shape(shape)}; a classifier returns (N, classes)",
            where=str(path),
            hint="this may be a feature extractor or a segmentation model; edgekit imports classifiers. To train a "
            "classifier on a feature extractor: edgekit train --backbone MODEL.keras",
        )
    activation, n_outputs = _last_activation(model.outputs[0]), int(shape[-1])
    if activation == "softmax" and n_outputs == 1:
        raise InputError(
            "this model ends with a softmax over a single output, which is always 1",
            where=str(path),
            hint="train it again with a sigmoid, or with one output for each class",
        )
    if activation not in ("softmax", "sigmoid", "linear"):
        raise InputError(
            f"this model ends with the activation {activation}; a classifier ends with softmax, sigmoid or no "
            "activation",
            where=str(path),
        )
    return OutputForm(activation, n_outputs)


def seen_outputs(form: OutputForm, outputs: Values) -> OutputForm:
    """``form`` after a look at real ``outputs`` (N, n_outputs): they may be probabilities already."""
    if form.activation != "linear" or form.n_outputs == 1:
        return form
    values = outputs.reshape(len(outputs), -1)
    sums = values.sum(axis=1)
    already = bool((values >= 0).all() and np.abs(sums - 1).max() < 1e-3)
    return OutputForm(form.activation, form.n_outputs, already)


def with_probabilities(copy: FlatCopy, output: keras.KerasTensor, form: OutputForm) -> keras.KerasTensor:
    """``output`` of a copied model as probabilities (N, classes)."""
    if len(output.shape) == 4:
        output = keras.layers.Flatten(name=copy.new_name("flatten"))(output)
    if form.already_probabilities:
        return output
    last = output._keras_history.operation
    separate = type(last).__name__ == "Activation" and last.activation.__name__ in ("softmax", "sigmoid")
    logits = last.input if separate else output
    before = logits._keras_history.operation
    if type(before).__name__ == "Dense" and (not separate or before.activation.__name__ == "linear"):
        return _as_softmax(copy, before, form.n_outputs)
    if separate or form.activation == "linear":
        return _softmax_of_logits(copy, logits, form.n_outputs)
    if form.activation == "softmax":
        return output
    return _of_sigmoid(copy, output, form.n_outputs)


def name_pooling(probabilities: keras.KerasTensor) -> None:
    """Call the last pooling ``head_pool`` where only a plain head follows, as in a network that edgekit builds.

    Grad-CAM can then explain the predictions. A plain head has Dense layers with ReLU, BatchNorm and Dropout only.
    """
    layer = probabilities._keras_history.operation
    if type(layer).__name__ != "Dense" or layer.activation.__name__ != "softmax" or layer.bias is None:
        return
    while True:
        layer = layer.input._keras_history.operation
        kind = type(layer).__name__
        if kind == "GlobalAveragePooling2D" and not layer.keepdims:
            layer.name = "head_pool"
            return
        plain = {
            "Dense": kind == "Dense" and layer.activation.__name__ == "relu" and layer.bias is not None,
            "BatchNormalization": kind == "BatchNormalization" and layer.scale and layer.center,
            "Dropout": True,
        }
        if not plain.get(kind, False):
            return


def _as_softmax(copy: FlatCopy, dense: Any, n_outputs: int) -> keras.KerasTensor:
    """The last Dense with a softmax; a single output becomes the second of two logits, the first being 0."""
    layer = keras.layers.Dense(max(2, n_outputs), activation="softmax", name=copy.new_name("probabilities"))
    output = layer(dense.input)
    original = copy.original_of(dense)
    kernel, *bias = original.get_weights()
    given = bias[0] if bias else np.zeros(kernel.shape[-1], kernel.dtype)
    if n_outputs == 1:
        kernel = np.concatenate([np.zeros_like(kernel), kernel], axis=1)
        given = np.concatenate([np.zeros_like(given), given])
    layer.set_weights([kernel, given])
    return output


def _softmax_of_logits(copy: FlatCopy, logits: keras.KerasTensor, n_outputs: int) -> keras.KerasTensor:
    if n_outputs > 1:
        return keras.layers.Activation("softmax", name=copy.new_name("probabilities"))(logits)
    layer = keras.layers.Dense(2, activation="softmax", name=copy.new_name("probabilities"))
    output = layer(logits)
    layer.set_weights([np.array([[0.0, 1.0]]), np.zeros(2)])
    return output


def _of_sigmoid(copy: FlatCopy, output: keras.KerasTensor, n_outputs: int) -> keras.KerasTensor:
    """Probabilities from a sigmoid whose input cannot be reached: 1 - p and p."""
    if n_outputs > 1:
        raise InputError("this model ends with a sigmoid inside a layer, for several classes, which is not supported")
    layer = keras.layers.Dense(2, name=copy.new_name("probabilities"))
    probabilities = layer(output)
    layer.set_weights([np.array([[-1.0, 1.0]]), np.array([1.0, 0.0])])
    return probabilities


def _last_activation(tensor: Any) -> str:
    """The activation that a tensor comes from, looking through layers that keep one value for each class."""
    operation = tensor._keras_history.operation
    kind = type(operation).__name__
    if isinstance(operation, keras.Model):
        return _last_activation(operation.outputs[tensor._keras_history.tensor_index])
    if kind in ("Softmax", "Sigmoid"):
        return kind.lower()
    activation = getattr(operation, "activation", None)
    if activation is not None:
        name = str(getattr(activation, "__name__", activation))
        if name != "linear" or kind != "Activation":
            return name
    if kind in PASSED or kind == "Activation":
        return _last_activation(operation._inbound_nodes[tensor._keras_history.node_index].input_tensors[0])
    return "linear"


def _refuse_channels_first(model: Any, shape: tuple[int | None, ...], path: Path) -> None:
    layers = [layer for layer in model._flatten_layers() if getattr(layer, "data_format", None) == "channels_first"]
    first = shape[1] in (1, COLOUR) and shape[-1] not in (1, COLOUR)
    if layers or first:
        what = f"layer {layers[0].name}" if layers else f"input {_shape(shape)}"
        raise InputError(
            f"this model expects channels first ({what}), which TensorFlow cannot compute on a CPU",
            where=str(path),
            hint='rebuild it with data_format="channels_last" (kernels have the same shape), copy the weights, and '
            "save it again",
        )


def _without_size(path: Path) -> InputError:
    return InputError(
        "this model takes images of any size, but exported files have a fixed size",
        where=str(path),
        hint="pass the size that it was trained with: --image-size 224",
    )


def _shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("N" if i == 0 else str(side) for i, side in enumerate(shape)) + ")"
