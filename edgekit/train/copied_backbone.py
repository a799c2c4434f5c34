"""Backbones that are flat copies: networks of ``keras.applications`` with models or preprocessing inside, and files.

Some backbones in Keras contain their preprocessing, and in some, the names of layers contain a number that depends on
what the process built before. A flat copy has one scaling layer, and names that are the same in every process.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence

import keras
import numpy as np

from edgekit.device.failures import DeviceError
from edgekit.device.scaling import parse_scaling
from edgekit.errors import InputError
from edgekit.registry import Backbone
from edgekit.support.paths import expanded
from edgekit.support.suggestions import did_you_mean
from edgekit.train.flat_copy import Array, FlatCopy, Pixels

RESERVED = {"image", "head_pool", "head_dense", "head_batchnorm", "head_dropout", "probabilities"}

NUMBERED = re.compile(
    r"(activation|add|average_pooling2d|batch_normalization|concatenate|conv2d|cropping2d|dense|depthwise_conv2d|dropout"
    r"|global_average_pooling2d|layer_normalization|max_pooling2d|multiply|normalization|re_lu|rescaling|reshape"
    r"|separable_conv2d|zero_padding2d)(_\d+)?"
)
"""Names that Keras makes by counting the layers of this class in the whole process."""

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])


def application(entry: Backbone) -> Callable[..., keras.Model]:
    """The constructor of the backbone in ``keras.applications``; :class:`InputError` if this Keras has none."""
    constructor = getattr(keras.applications, entry.keras_class, None)
    if not callable(constructor):
        names = [name for name in dir(keras.applications) if name[0].isupper()]
        question = did_you_mean(entry.keras_class, names)
        raise InputError(
            f"keras.applications has no class {entry.keras_class!r}",
            where="model.backbone",
            hint=f"{question + ' ' if question else ''}It has: {', '.join(names)}",
        )
    found: Callable[..., keras.Model] = constructor
    return found


def read_backbone_file(entry: Backbone) -> keras.Model:
    """The feature extractor in the file of ``entry``: a model that gives feature maps (N, H, W, C).

    Raises :class:`InputError` if it is no Keras model, contains code, or gives something else.
    """
    from edgekit.train.keras_files.model_file import open_keras_model

    path = expanded(str(entry.file))
    model = open_keras_model(path).model
    if not getattr(model, "inputs", None) or len(model.inputs) != 1 or tuple(model.inputs[0].shape[3:]) != (3,):
        raise InputError("a backbone takes one RGB image (N, H, W, 3)", where=str(path))
    features = _feature_maps(model)
    if features is None:
        raise InputError(
            f"a backbone returns feature maps (N, H, W, C), but the output of this model is {model.outputs[0].shape}",
            where=str(path),
            hint="cut the classifier off, and save the rest: keras.Model(model.input, model.get_layer(NAME).output)",
        )
    return features


def copy_backbone(entry: Backbone, original: keras.Model, image: keras.KerasTensor, scaling: str) -> keras.KerasTensor:
    """The feature maps of a flat copy of ``original`` on ``image`` (N, H, W, 3), RGB 0-255.

    ``scaling`` is ``random`` for random weights, which replaces preprocessing in the network by [-1, 1], ``keras`` for
    the preprocessing that the ImageNet weights expect, or the name of a scaling for a file.
    """
    names = [operation.name for operation in original.operations]
    stable = dict(zip(names, stable_names(names)))
    copy = FlatCopy(taken=set(RESERVED), names=stable, rescale=scaling != "random", always_scale=True)
    pixels = Pixels.plain(image)
    if scaling == "random":
        pixels = pixels.then(1 / 127.5, -1.0)
    elif scaling == "keras":
        pixels = _published(entry, original, pixels)
    else:
        pixels = _given(scaling, pixels)
    try:
        features = copy.apply(original, pixels)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{entry.title} cannot take images of {image.shape[1]}x{image.shape[2]} pixels: {error}",
            where="data.image_size",
        ) from error
    copy.copy_weights()
    return features


def stable_names(names: Sequence[str]) -> list[str]:
    """``names`` as in a new process: Keras numbers unnamed layers across all networks that it builds."""
    counts: dict[str, int] = {}
    stable = []
    for name in names:
        match = NUMBERED.fullmatch(name)
        if match is None:
            stable.append(name)
            continue
        kind = match[1]
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        stable.append(kind if not number else f"{kind}_{number}")
    return stable


def _feature_maps(model: keras.Model) -> keras.Model | None:
    """``model`` up to its last feature maps: without a global average pooling at the end. None for another output."""
    output = model.outputs[0]
    if len(output.shape) == 2 and isinstance(output._keras_history.operation, keras.layers.GlobalAveragePooling2D):
        output = output._keras_history.operation.input
    return keras.Model(model.inputs[0], output) if len(output.shape) == 4 else None


def _published(entry: Backbone, original: keras.Model, pixels: Pixels) -> Pixels:
    """``pixels`` after ``preprocess_input`` of the backbone, which is linear for every channel.

    For the ImageNet weights of EfficientNet, Keras also adds a scaling that a network made for a weights file lacks.
    """
    preprocess = sys.modules[application(entry).__module__].preprocess_input
    dark, light = np.zeros((1, 1, 1, 3), np.float32), np.full((1, 1, 1, 3), 255, np.float32)
    red = np.array([255, 0, 0], np.float32).reshape(1, 1, 1, 3)
    low, high, mixed = (np.asarray(preprocess(x.copy()), np.float64).reshape(3) for x in (dark, light, red))
    if abs(mixed[2] - high[2]) < abs(mixed[0] - high[0]):  # red comes last
        pixels = pixels.reversed_channels()
    pixels = pixels.then((high - low) / 255, low)
    if entry.keras_class.startswith("EfficientNetB") and _lacks_scaling(original):
        # As keras.applications.EfficientNetB0(weights="imagenet") does after its Normalization.
        return _EfficientNetPixels.of(pixels)
    return pixels


class _EfficientNetPixels(Pixels):
    """Pixels that are divided by the square root of the standard deviation after the next Normalization."""

    @classmethod
    def of(cls, pixels: Pixels) -> _EfficientNetPixels:
        return cls(pixels.tensor, pixels.scale, pixels.offset, pixels.reverse)

    def normalized(self, scale: Array, offset: Array) -> Pixels:
        plain = Pixels(self.tensor, self.scale, self.offset, self.reverse)
        return plain.then(scale, offset).then(1 / np.sqrt(IMAGENET_STD), 0.0)


def _lacks_scaling(original: keras.Model) -> bool:
    """Whether the ImageNet weights were loaded from a file: their Normalization is there, the last Rescaling is not."""
    for layer, following in zip(original.layers, original.layers[1:]):
        if isinstance(layer, keras.layers.Normalization):
            mean = np.asarray(keras.ops.convert_to_numpy(layer.mean)).reshape(-1)
            adapted = mean.size == 3 and bool(np.abs(mean - IMAGENET_MEAN).max() < 1e-3)
            return adapted and not isinstance(following, keras.layers.Rescaling)
    return False


def _given(scaling: str, pixels: Pixels) -> Pixels:
    try:
        chosen = parse_scaling(scaling)
    except DeviceError as error:
        raise InputError(str(error), where="model.scaling") from None
    return pixels.scaled(chosen)
