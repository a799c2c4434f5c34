"""Refuses a model whose configuration asks for code that is not part of Keras, before anything is built from it.

A Keras file holds a configuration (JSON) and weights. Keras itself would look up classes by name and, for a ``Lambda``
layer, run bytecode from the file. edgekit builds only layers of the list below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import InputError

Config = dict[str, Any]
"""A part of a model's configuration, as its file stores it."""

MODELS = ("Functional", "Model", "Sequential")
INPUT = "InputLayer"

LAYERS = frozenset(
    {
        "Activation", "ActivityRegularization", "Add", "AlphaDropout", "Attention", "Average", "AveragePooling2D",
        "BatchNormalization", "CenterCrop", "Concatenate", "Conv2D", "Conv2DTranspose", "Cropping2D", "Dense",
        "DepthwiseConv2D", "Dot", "Dropout", "ELU", "Flatten", "GaussianDropout", "GaussianNoise",
        "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
        "GroupNormalization", "Identity", "LayerNormalization", "LeakyReLU", "MaxPooling2D", "Maximum", "Minimum",
        "MultiHeadAttention", "Multiply", "Normalization", "PReLU", "Permute", "RMSNormalization", "ReLU", "Rescaling",
        "Reshape", "Resizing", "SeparableConv2D", "Softmax", "SpatialDropout2D", "SpectralNormalization", "Subtract",
        "UnitNormalization", "UpSampling2D", "ZeroPadding2D", "LayerScale", "StochasticDepth",
    }
)  # fmt: skip
"""Layers that an imported model may have. ``LayerScale`` and ``StochasticDepth`` are those of Keras's ConvNeXt."""

AUGMENTATION = frozenset(
    {
        "AugMix", "AutoContrast", "CutMix", "Equalization", "MixUp", "RandAugment", "RandomBrightness",
        "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomCrop", "RandomElasticTransform",
        "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHeight", "RandomHue",
        "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation",
        "RandomSharpness", "RandomShear", "RandomTranslation", "RandomWidth", "RandomZoom", "Solarization",
    }
)  # fmt: skip
"""Layers that change images in training only."""

TENSORFLOW_OPERATIONS = ("TFOpLambda", "SlicingOpLambda")
"""Arithmetic in a model of Keras 2; the usual ones are translated by :mod:`edgekit.train.keras_files.keras2`."""

OPERATION_MODULES = ("keras.src.ops.numpy", "keras.src.ops.nn", "keras.src.ops.core")
"""Where the operations of ``keras.ops`` are defined, which Keras 3 stores like layers."""

ALIASES = {
    "AvgPool2D": "AveragePooling2D",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "Convolution2D": "Conv2D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "MaxPool2D": "MaxPooling2D",
    "SeparableConvolution2D": "SeparableConv2D",
    "SyncBatchNormalization": "BatchNormalization",
}
"""Other names of the same layers."""


@dataclass(frozen=True)
class _Finding:
    """A layer that is refused."""

    layer: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} (layer {self.layer!r})"


def check_config(root: Config, path: Path) -> None:
    """Raise :class:`InputError` that names every layer of ``root`` that edgekit does not build.

    ``path`` is the file or folder, for the message.
    """
    code: list[_Finding] = []
    unknown: list[_Finding] = []
    for entry in all_layers(root):
        kind = str(entry.get("class_name"))
        finding = _Finding(str(layer_name(entry)), kind)
        if kind in ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"):
            code.append(finding)
        elif not _known(entry, kind):
            unknown.append(finding)
    if code:
        raise InputError(
            f"this model contains code: {_listed(code)}. edgekit does not run code from a model file",
            where=str(path),
            hint="replace these layers by layers of Keras (a Lambda that scales pixels by Rescaling, or remove it and "
            "give --scaling), copy the weights, and save the model again",
        )
    if unknown:
        raise InputError(
            f"this model contains layers that are not part of Keras, or that edgekit does not import: "
            f"{_listed(unknown)}",
            where=str(path),
            hint="rebuild the model from layers of keras.layers, copy the weights, and save it again",
        )


def all_layers(root: Config) -> Iterator[Config]:
    """Every layer of a model, also those of models inside it; the models themselves are not among them.

    A layer inside another one (the activation of a Dense layer, a wrapped layer) counts too.
    """
    if root.get("class_name") not in MODELS:
        yield root
        for value in (root.get("config") or {}).values() if isinstance(root.get("config"), dict) else ():
            if isinstance(value, dict) and value.get("class_name") in {*LAYERS, *MODELS, "Lambda", "__lambda__"}:
                yield from all_layers(value)
        return
    for entry in layer_entries(root):
        yield from all_layers(entry)


def layer_entries(model: Config) -> list[Config]:
    """The layers of a model's configuration; a Sequential of the first versions of Keras 2 is only a list of them."""
    inner = model.get("config")
    entries = inner if isinstance(inner, list) else (inner or {}).get("layers", [])
    return [entry for entry in entries if isinstance(entry, dict)]


def layer_name(entry: Config) -> object:
    """The name of a layer in its model."""
    inner = entry.get("config")
    return entry.get("name") or (inner.get("name") if isinstance(inner, dict) else None) or "?"


def _known(entry: Config, kind: str) -> bool:
    if ALIASES.get(kind, kind) in {*LAYERS, *AUGMENTATION, INPUT}:
        # A class of the same name that somebody registered elsewhere is another class.
        registered = str(entry.get("registered_name") or kind)
        return ">" not in registered or registered.startswith(("Keras>", "keras>"))
    if kind in TENSORFLOW_OPERATIONS:
        return True
    return entry.get("module") in OPERATION_MODULES


def _listed(findings: list[_Finding], most: int = 5) -> str:
    more = f" and {len(findings) - most} more" if len(findings) > most else ""
    return ", ".join(map(str, findings[:most])) + more
