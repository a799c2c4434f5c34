"""The network: pixels in, probabilities out, the backbone's own scaling inside.

Layers of the flat functional model, in order: ``image`` (float32, (N, H, W, 3), RGB, 0-255), ``scaling``, the
backbone's layers under Keras's own names, ``head_pool``, ``head_dense``, ``head_batchnorm``, ``head_dropout``,
``probabilities`` (N, classes).
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from edgekit.errors import EdgekitError, InputError
from edgekit.recipe import FineTuning, Head, Model
from edgekit.registry import Backbone, get_backbone

IMAGENET_MEAN_RGB = (123.68, 116.779, 103.939)
"""Mean pixel of ImageNet as in Keras's ``caffe`` preprocessing (there in BGR order)."""


def build_network(model: Model, *, image_size: int, classes: int, seed: int, load_weights: bool = True) -> keras.Model:
    """The whole network for ``classes`` classes at ``image_size`` pixels, with the backbone's weights loaded.

    ``load_weights=False`` leaves random weights, for a network whose weights are set afterwards.
    Raises :class:`InputError` where a weights file does not fit and :class:`EdgekitError` where ImageNet weights
    cannot be downloaded.
    """
    entry = get_backbone(model.backbone)
    keras.utils.set_random_seed(seed)
    weights = model.weights if load_weights else "none"
    # With a file or a download the backbone is built twice: Keras reads weights into its own architecture only.
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


def backbone_layers(network: keras.Model) -> list[keras.layers.Layer]:
    """The backbone's layers in Keras's order, without its input, the scaling and the head."""
    names = [layer.name for layer in network.layers]
    return list(network.layers[names.index("scaling") + 1 : names.index("head_pool")])


def head_layers(network: keras.Model) -> list[keras.layers.Layer]:
    """The layers behind the pooling, whose input is the pooled features (N, channels)."""
    names = [layer.name for layer in network.layers]
    return list(network.layers[names.index("head_pool") + 1 :])


def feature_model(network: keras.Model) -> keras.Model:
    """Images to pooled features (N, channels), sharing the network's layers."""
    return keras.Model(network.input, network.get_layer("head_pool").output, name="features")


def head_model(network: keras.Model) -> keras.Model:
    """Pooled features (N, channels) to probabilities, sharing the network's layers."""
    features = keras.Input((network.get_layer("head_pool").output.shape[-1],), name="features")
    x = features
    for layer in head_layers(network):
        x = layer(x)
    return keras.Model(features, x, name="head")


def freeze_backbone(network: keras.Model) -> None:
    """Only the head is trained."""
    for layer in backbone_layers(network):
        layer.trainable = False


def open_last_layers(network: keras.Model, stage: FineTuning) -> list[str]:
    """Open the backbone's last layers as the stage says; names of the opened layers that have weights.

    BatchNorm layers keep ``trainable=False``, which in Keras also means inference mode, unless
    ``stage.train_batchnorm``. Raises :class:`InputError` for an unknown layer or block, and where no layer with
    weights would be opened.
    """
    layers = backbone_layers(network)
    names = [layer.name for layer in layers]
    start = first_opened(names, stage, network.name)
    opened = []
    for position, layer in enumerate(layers):
        is_batchnorm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = position >= start and (stage.train_batchnorm or not is_batchnorm)
        if layer.trainable and layer.weights:
            opened.append(layer.name)
    if not opened:
        raise InputError(
            f"fine-tuning would open no layer of {network.name} that learns, only {', '.join(names[start:][:5])}",
            where="train.fine_tuning",
            hint="open more: last_layers, from_layer, from_block or fraction",
        )
    return opened


def first_opened(names: Sequence[str], stage: FineTuning, backbone: str) -> int:
    """The place of the first layer to open among the backbone's layer ``names``; the rest follow it.

    Raises :class:`InputError` for a layer or block that is not there.
    """
    names = stable_names(names)
    if stage.last_layers is not None:
        return max(0, len(names) - stage.last_layers)
    if stage.fraction is not None:
        return len(names) - math.ceil(round(stage.fraction * len(names), 6))
    if stage.from_layer is not None:
        found, what, key = [i for i, name in enumerate(names) if name == stage.from_layer], stage.from_layer, "layer"
    else:
        block = str(stage.from_block)
        found = [i for i, name in enumerate(names) if name == block or name.startswith(f"{block}_")]
        what, key = block, "block"
    if not found:
        raise InputError(
            f"the backbone {backbone} has no {key} called {what!r}",
            where=f"train.fine_tuning.from_{key}",
            hint=f"edgekit list backbones --layers {backbone} shows the names",
        )
    return found[0]


def block_of(layer_name: str) -> str:
    """The block a layer belongs to by its name: ``conv5_block3_1_conv`` is in ``conv5_block3``, which is in ``conv5``.

    Keras names blocks ``block5`` (VGG), ``conv5_block3`` (ResNet) or ``block_16`` (MobileNetV2); other layers are in
    the block of the part before the first ``_``.
    """
    match = re.match(r"(conv\d+_block\d+|block_?\d+|[^_]+)(?:_|$)", layer_name)
    return match.group(1) if match else layer_name


def open_all_layers(network: keras.Model, batchnorm_momentum: float) -> None:
    """Train everything; BatchNorm's moving statistics follow with ``batchnorm_momentum``."""
    for layer in network.layers:
        layer.trainable = True
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = batchnorm_momentum


def set_dropout(network: keras.Model, rate: float) -> None:
    """Change the head's dropout and begin its draws anew; takes effect when the network is compiled next.

    So a stage draws the same whether the stage before it ran just now, in an interrupted process or in another run.
    """
    for layer in head_layers(network):
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = rate
            layer.seed_generator.state.assign([layer.seed, 0])


def layer_names(model: Model) -> list[str]:
    """Names of the backbone's layers, without loading weights."""
    entry = get_backbone(model.backbone)
    built = _application(entry, model)(
        include_top=False, weights=None, input_shape=(entry.default_image_size, entry.default_image_size, 3)
    )
    return stable_names([layer.name for layer in built.layers if not isinstance(layer, keras.layers.InputLayer)])


def stable_names(names: Sequence[str]) -> list[str]:
    """``names`` as in a fresh process: Keras numbers ResNet50V2's unnamed poolings over all networks it has built."""
    found = 0
    stable = []
    for name in names:
        if re.fullmatch(r"max_pooling2d(_\d+)?", name):
            stable.append("max_pooling2d" if not found else f"max_pooling2d_{found}")
            found += 1
        else:
            stable.append(name)
    return stable


def _application(entry: Backbone, model: Model) -> Any:
    def build(**kwargs: Any) -> keras.Model:
        if entry.alphas:
            kwargs["alpha"] = model.alpha
        return getattr(keras.applications, entry.keras_class)(**kwargs)

    return build


def _scaling(entry: Backbone, *, pretrained: bool) -> keras.layers.Layer:
    """Keras's own preprocessing as one affine layer in RGB order; [-1, 1] where there are no weights to fit.

    Random weights are drawn for inputs of about unit size: with ``caffe`` pixels of up to 151 VGG16 hardly learns.

    The ``caffe`` weights expect BGR; instead of turning every image around, :func:`_adapted_weights` turns the
    input channels of the first convolution, which is the same function and one operator less on the device.
    """
    if entry.scaling == "symmetric" or not pretrained:
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
                hint="connect to the internet once (Keras keeps them in ~/.keras/models), "
                "or give a local file: --weights PATH, or train from random weights: --weights none",
            ) from error
    path = Path(weights).expanduser()
    built = build(include_top=False, weights=None, input_shape=shape)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for every layer of a file that does not fit, before the error
            built.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise InputError(
            f"this file does not hold weights of {entry.title} without its top"
            + (f" at alpha {model.alpha}" if entry.alphas else "")
            + f": {_short(error)}",
            where=str(path),
            hint="a Keras weights file (.weights.h5 or .h5) of the same backbone, include_top=False, is needed",
        ) from None
    return built


def _adapted_weights(entry: Backbone, trained: keras.Model) -> list[Any]:
    arrays = trained.get_weights()
    if entry.scaling == "caffe":
        assert arrays[0].shape[2] == 3, "the first weight is the kernel (h, w, 3, filters) of the first convolution"
        arrays[0] = arrays[0][:, :, ::-1, :]
    return list(arrays)


def _draw_kernels(network: keras.Model, initializer: str, seed: int) -> None:
    for number, layer in enumerate(network.layers):
        if isinstance(layer, keras.layers.Conv2D):
            draw = keras.initializers.get({"class_name": initializer, "config": {"seed": seed + number}})
            layer.kernel.assign(draw(layer.kernel.shape))


def _head(head: Head, x: Any, classes: int, seed: int) -> Any:
    layers = keras.layers
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    if head.units:
        x = layers.Dense(head.units, activation="relu", name="head_dense")(x)
    if head.batchnorm:
        x = layers.BatchNormalization(momentum=head.batchnorm_momentum, name="head_batchnorm")(x)
    if head.dropout:
        x = layers.Dropout(head.dropout, seed=seed, name="head_dropout")(x)
    # float32 also under mixed precision: a softmax in half precision loses small probabilities
    return layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(x)


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:197] + "..."
