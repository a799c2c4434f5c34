"""The network: from pixels to probabilities, with the scaling that the backbone expects inside.

The layers of the flat functional model are, in order: ``image`` (float32, (N, H, W, 3), RGB, 0-255), ``scaling``, the
backbone's layers under Keras's own names, ``head_pool``, ``head_dense``, ``head_batchnorm``, ``head_dropout``,
``probabilities`` (N, classes).
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import EdgekitError, InputError
from edgekit.recipe import FineTuning, Head, Model
from edgekit.registry import Backbone, get_backbone
from edgekit.support.paths import expanded
from edgekit.train.copied_backbone import application, copy_backbone, read_backbone_file, stable_names
from edgekit.train.stages import last_stage

IMAGENET_MEAN_RGB = (123.68, 116.779, 103.939)
"""Mean ImageNet pixel, as in the ``caffe`` preprocessing of Keras (which has it in BGR order)."""


def build_network(model: Model, *, image_size: int, classes: int, seed: int, load_weights: bool = True) -> keras.Model:
    """Build the whole network for ``classes`` classes and images of ``image_size`` pixels, with its initial weights.

    ``load_weights=False`` leaves random weights, for a network whose weights are set afterwards. Raises
    :class:`InputError` if a weights file does not fit, and :class:`EdgekitError` if the ImageNet weights cannot be
    downloaded.
    """
    entry = get_backbone(model.backbone)
    keras.utils.set_random_seed(seed)
    weights = model.weights if load_weights else "none"
    if entry.copied:
        return _copied_network(entry, model, image_size, classes, seed, weights)
    # For a file or a download, the backbone is built twice: Keras loads weights only into its own architecture.
    trained = None if weights == "none" else _load_backbone(entry, model, image_size, weights)
    image = keras.Input((image_size, image_size, 3), name="image")
    scaled = _scaling(entry, pretrained=model.weights != "none")(image)
    flat = _application(entry, model)(include_top=False, weights=None, input_tensor=scaled)
    if trained is not None:
        flat.set_weights(_adapted_weights(entry, trained))
    elif entry.kernel_initializer is not None:
        _draw_kernels(flat, entry.kernel_initializer, seed)
    outputs = _head(model.head, flat.output, classes, seed)
    return keras.Model(image, outputs, name=entry.name)


def _copied_network(
    entry: Backbone, model: Model, image_size: int, classes: int, seed: int, weights: str
) -> keras.Model:
    """The network on a flat copy of the backbone; see :mod:`edgekit.train.copied_backbone`."""
    image = keras.Input((image_size, image_size, 3), name="image")
    if entry.file is not None:
        original, scaling = read_backbone_file(entry), model.scaling or "none"
    else:
        if weights == "none":
            original = _application(entry, model)(
                include_top=False, weights=None, input_shape=(image_size, image_size, 3)
            )
        else:
            original = _load_backbone(entry, model, image_size, weights)
        scaling = "random" if model.weights == "none" else "keras"
    features = copy_backbone(entry, original, image, scaling)
    return keras.Model(image, _head(model.head, features, classes, seed), name=entry.slug)


def backbone_layers(network: keras.Model) -> list[keras.layers.Layer]:
    """The layers of the backbone in the order of Keras, without the input, the scaling and the head."""
    names = [layer.name for layer in network.layers]
    return list(network.layers[names.index("scaling") + 1 : names.index("head_pool")])


def head_layers(network: keras.Model) -> list[keras.layers.Layer]:
    """The layers after the pooling; their input is the pooled features (N, channels)."""
    names = [layer.name for layer in network.layers]
    return list(network.layers[names.index("head_pool") + 1 :])


def feature_model(network: keras.Model) -> keras.Model:
    """The model from images to pooled features (N, channels). It shares the layers of ``network``."""
    return keras.Model(network.input, network.get_layer("head_pool").output, name="features")


def head_model(network: keras.Model) -> keras.Model:
    """The model from pooled features (N, channels) to probabilities. It shares the layers of ``network``."""
    features = keras.Input((network.get_layer("head_pool").output.shape[-1],), name="features")
    x = features
    for layer in head_layers(network):
        x = layer(x)
    return keras.Model(features, x, name="head")


def freeze_backbone(network: keras.Model) -> None:
    """Make only the head trainable."""
    for layer in backbone_layers(network):
        layer.trainable = False


def open_last_layers(network: keras.Model, phase: FineTuning) -> list[str]:
    """Make the last layers of the backbone trainable; returns the names of those that have weights.

    Unless ``phase.train_batchnorm`` is set, BatchNorm layers keep ``trainable=False``, which in Keras also means
    inference mode. Raises :class:`InputError` for an unknown layer or block, and if no layer with weights would become
    trainable.
    """
    layers = backbone_layers(network)
    names = [layer.name for layer in layers]
    start = last_stage(layers) if phase.last_stage else first_opened(names, phase, network.name)
    opened = []
    for position, layer in enumerate(layers):
        is_batchnorm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = position >= start and (phase.train_batchnorm or not is_batchnorm)
        if layer.trainable and layer.weights:
            opened.append(layer.name)
    if not opened:
        raise InputError(
            f"fine-tuning would train no layer of {network.name} that has weights, only {', '.join(names[start:][:5])}",
            where="train.fine_tuning",
            hint="train more layers: set last_stage, last_layers, from_layer, from_block or fraction",
        )
    return opened


def first_opened(names: Sequence[str], phase: FineTuning, backbone: str) -> int:
    """The position of the first backbone layer to train among the layer ``names``; all later ones are trained too.

    This does not cover ``last_stage``, which depends on the shapes of the layers. Raises :class:`InputError` for an
    unknown layer or block.
    """
    names = stable_names(names)
    if phase.last_layers is not None:
        return max(0, len(names) - phase.last_layers)
    if phase.fraction is not None:
        return len(names) - math.ceil(round(phase.fraction * len(names), 6))
    if phase.from_layer is not None:
        found, wanted, kind = [i for i, name in enumerate(names) if name == phase.from_layer], phase.from_layer, "layer"
    else:
        wanted, kind = str(phase.from_block), "block"
        found = [i for i, name in enumerate(names) if name == wanted or name.startswith(f"{wanted}_")]
    if not found:
        raise InputError(
            f"{backbone} has no {kind} named {wanted!r}",
            where=f"train.fine_tuning.from_{kind}",
            hint=f"run `edgekit list backbones --layers {backbone}` to see the names",
        )
    return found[0]


def block_of(layer_name: str) -> str:
    """The block that a layer belongs to, by its name: ``conv5_block3_1_conv`` is in ``conv5_block3``.

    Keras names blocks ``block5`` (VGG), ``conv5_block3`` (ResNet) or ``block_16`` (MobileNetV2). The block of any other
    layer is the part of its name before the first ``_``.
    """
    match = re.match(r"(conv\d+_block\d+|block_?\d+|[^_]+)(?:_|$)", layer_name)
    return match.group(1) if match else layer_name


def open_all_layers(network: keras.Model, batchnorm_momentum: float) -> None:
    """Make every layer trainable, with ``batchnorm_momentum`` for the moving statistics of BatchNorm."""
    for layer in network.layers:
        layer.trainable = True
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = batchnorm_momentum


def set_dropout(network: keras.Model, rate: float) -> None:
    """Set the dropout rate of the head and reset its random numbers, from the next compilation of the network on.

    A phase therefore draws the same numbers whether the previous phase ran just now, before an interrupt or in another
    run.
    """
    for layer in head_layers(network):
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = rate
            layer.seed_generator.state.assign([layer.seed, 0])


class BackboneOutline(NamedTuple):
    """The layers of a backbone at its default image size."""

    names: list[str]
    last_stage: int
    """The position of the first layer that ``last_stage`` trains."""


def outline(model: Model) -> BackboneOutline:
    """The layers of the backbone of ``model``, without loading weights."""
    entry = get_backbone(model.backbone)
    side = entry.default_image_size
    if entry.copied:
        layers = backbone_layers(build_network(model, image_size=side, classes=2, seed=0, load_weights=False))
    else:
        built = _application(entry, model)(include_top=False, weights=None, input_shape=(side, side, 3))
        layers = [layer for layer in built.layers if not isinstance(layer, keras.layers.InputLayer)]
    return BackboneOutline(stable_names([layer.name for layer in layers]), last_stage(layers))


def _application(entry: Backbone, model: Model) -> Callable[..., keras.Model]:
    """The constructor of the backbone in Keras, with its width."""
    constructor = application(entry)
    return partial(constructor, alpha=model.alpha) if entry.alphas else constructor


def _scaling(entry: Backbone, *, pretrained: bool) -> keras.layers.Layer:
    """The preprocessing of Keras as one affine layer in RGB order, or [-1, 1] if there are no pretrained weights.

    Random weights are drawn for inputs of about unit size: with ``caffe`` pixels of up to 151, VGG16 hardly learns.

    The ``caffe`` weights expect BGR. Instead of reversing the channels of every image, :func:`_adapted_weights`
    reverses the input channels of the first convolution: the same function with one operator less on the device.
    """
    if entry.scaling == "symmetric" or not pretrained:  # other scalings than these two: see copied_backbone
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")
    return keras.layers.Rescaling([1.0, 1.0, 1.0], offset=[-mean for mean in IMAGENET_MEAN_RGB], name="scaling")


def _load_backbone(entry: Backbone, model: Model, image_size: int, weights: str) -> keras.Model:
    build = _application(entry, model)
    shape = (image_size, image_size, 3)
    if weights == "imagenet":
        try:
            return build(include_top=False, weights="imagenet", input_shape=shape)
        except Exception as error:
            raise EdgekitError(
                f"the ImageNet weights of {entry.title} could not be downloaded: {_short(error)}",
                where="model.weights: imagenet",
                hint="connect to the internet once (Keras keeps them in ~/.keras/models), use a local file with "
                "--weights PATH, or train from random weights with --weights none",
            ) from error
    path = expanded(weights)
    built = build(include_top=False, weights=None, input_shape=shape)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each layer of a file that does not fit, before the error
            built.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise InputError(
            f"this file does not contain weights of {entry.title} without its top"
            + (f" for alpha {model.alpha}" if entry.alphas else "")
            + f": {_short(error)}",
            where=str(path),
            hint="give a Keras weights file (.weights.h5 or .h5) of the same backbone with include_top=False",
        ) from None
    return built


def _adapted_weights(entry: Backbone, trained: keras.Model) -> list[NDArray[np.float32]]:
    arrays: list[NDArray[np.float32]] = trained.get_weights()
    if entry.scaling == "caffe":
        assert arrays[0].shape[2] == 3, "the first weight is the kernel (h, w, 3, filters) of the first convolution"
        arrays[0] = arrays[0][:, :, ::-1, :]
    return arrays


def _draw_kernels(network: keras.Model, initializer: str, seed: int) -> None:
    for number, layer in enumerate(network.layers):
        if isinstance(layer, keras.layers.Conv2D):
            draw = keras.initializers.get({"class_name": initializer, "config": {"seed": seed + number}})
            layer.kernel.assign(draw(layer.kernel.shape))


def _head(head: Head, x: keras.KerasTensor, classes: int, seed: int) -> keras.KerasTensor:
    layers = keras.layers
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    if head.units:
        x = layers.Dense(head.units, activation="relu", name="head_dense")(x)
    if head.batchnorm:
        x = layers.BatchNormalization(momentum=head.batchnorm_momentum, name="head_batchnorm")(x)
    if head.dropout:
        x = layers.Dropout(head.dropout, seed=seed, name="head_dropout")(x)
    # float32 even under mixed precision: a softmax in half precision loses small probabilities
    return layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(x)


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:197] + "..."
