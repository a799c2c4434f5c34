"""The tables of backbones and export schemes: pure data, without heavy imports."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.device.runtime_table import RUNTIMES as RUNTIMES
from edgekit.errors import InputError
from edgekit.support.suggestions import unknown_name_error


@dataclass(frozen=True)
class Backbone:
    """An ImageNet architecture from ``keras.applications``.

    ``scaling`` is the preprocessing that the ImageNet weights expect: ``"symmetric"`` is RGB in [-1, 1], ``"caffe"`` is
    BGR minus the ImageNet mean. Random weights get [-1, 1]. ``imagenet_top1`` is the accuracy in percent in the table
    of Keras, and ``parameters`` counts the network without its top.
    """

    name: str
    title: str
    keras_class: str
    scaling: str
    parameters: int
    imagenet_top1: float | None
    macs: int = 0
    """Multiply-accumulates for one image of 224 x 224 pixels, without the top and at width 1."""
    min_image_size: int = 32
    default_image_size: int = 224
    weights_file: str = ""
    """Pattern of the name of the file in which Keras stores the ImageNet weights without the top."""
    alphas: tuple[float, ...] = ()
    """Width multipliers with ImageNet weights; empty if the backbone has no width multiplier."""
    kernel_initializer: str | None = None
    """Initializer for ``weights: none``, if the architecture does not train with its own."""


@dataclass(frozen=True)
class Scheme:
    """One kind of exported file: a format and a numeric scheme."""

    format: str
    name: str
    extension: str
    calibrated: bool
    summary: str
    compression: str = ""
    """The compression that the network goes through first, one of :data:`COMPRESSIONS`, or empty."""
    methods: tuple[str, ...] = ("minmax",)
    """The calibration methods that a calibrated file can use."""
    source: str | None = None
    """The key of the exported file that this one is converted from; None if it is made from the network."""

    @property
    def calibration_methods(self) -> tuple[str, ...]:
        """``methods`` of a calibrated file; empty for any other file."""
        return self.methods if self.calibrated else ()

    @property
    def precision(self) -> str:
        """``fp32``, ``fp16``, ``dynamic`` or ``int8``, with or without compression."""
        return self.name.partition("-")[0]

    @property
    def maker_scheme(self) -> str:
        """The scheme that the maker is asked for: it converts a compressed network like any other."""
        return self.precision if self.compression else self.name

    @property
    def key(self) -> str:
        """Folder name below ``exports/``: ``tflite-int8``."""
        return f"{self.format}-{self.name}"


BACKBONES: dict[str, Backbone] = {
    b.name: b
    for b in (
        Backbone(
            name="vgg16",
            title="VGG16",
            macs=15_346_630_656,
            keras_class="VGG16",
            weights_file="vgg16_*_notop.h5",
            scaling="caffe",
            parameters=14_714_688,
            imagenet_top1=71.3,
            kernel_initializer="he_uniform",
        ),
        Backbone(
            name="resnet50v2",
            title="ResNet50V2",
            macs=3_480_207_360,
            keras_class="ResNet50V2",
            weights_file="resnet50v2_*_notop.h5",
            scaling="symmetric",
            parameters=23_564_800,
            imagenet_top1=76.0,
        ),
        Backbone(
            name="mobilenetv2",
            title="MobileNetV2",
            macs=299_494_272,
            keras_class="MobileNetV2",
            weights_file="mobilenet_v2_*_no_top.h5",
            scaling="symmetric",
            parameters=2_257_984,
            imagenet_top1=71.3,
            alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
        ),
        Backbone(
            name="resnet50",
            title="ResNet50",
            macs=3_855_925_248,
            keras_class="ResNet50",
            weights_file="resnet50_*_notop.h5",
            scaling="caffe",
            parameters=23_587_712,
            imagenet_top1=74.9,
        ),
    )
}

IMPORTED = "imported"
"""``model.backbone`` in the recipe of an imported run, whose network edgekit neither built nor trained."""

STRATEGIES: dict[str, str] = {
    "feature-extraction": "trains only the head; the backbone is frozen",
    "fine-tuning": "feature extraction, then also trains the last layers of the backbone",
    "from-scratch": "trains every layer from random weights (default with --weights none)",
}

COMPRESSIONS: dict[str, str] = {
    "qat": "quantization-aware training",
    "pruned": "fine-tuned with magnitude pruning",
    "clustered": "fine-tuned with clustered weights",
}
"""Ways to compress a trained network by fine-tuning it with TensorFlow Model Optimization."""

SCHEMES: dict[str, Scheme] = {
    s.key: s
    for s in (
        Scheme("tflite", "fp32", ".tflite", False, "32-bit floats"),
        Scheme("tflite", "fp16", ".tflite", False, "16-bit float weights; CPUs compute in fp32"),
        Scheme("tflite", "dynamic", ".tflite", False, "8-bit weights, dynamic activation ranges"),
        Scheme("tflite", "int8", ".tflite", True, "8-bit weights (per channel) and activations"),
        Scheme("tflite", "int8-qat", ".tflite", True, "int8 after quantization-aware training", "qat"),
        Scheme("tflite", "fp32-pruned", ".tflite", False, "32-bit floats, pruned weights", "pruned"),
        Scheme("tflite", "int8-pruned", ".tflite", True, "int8, pruned weights", "pruned"),
        Scheme("tflite", "fp32-clustered", ".tflite", False, "32-bit floats, clustered weights", "clustered"),
        Scheme("tflite", "int8-clustered", ".tflite", True, "int8, clustered weights", "clustered"),
        Scheme("onnx", "fp32", ".onnx", False, "32-bit floats"),
        Scheme("onnx", "fp16", ".onnx", False, "16-bit float weights; CPUs compute in fp32"),
        Scheme("onnx", "dynamic", ".onnx", False, "8-bit weights, dynamic activation ranges"),
        Scheme(
            "onnx",
            "int8",
            ".onnx",
            True,
            "8-bit, QDQ; minmax, percentile or entropy",
            methods=("minmax", "percentile", "entropy"),
        ),
        Scheme("onnx", "int8-tflite", ".onnx", True, "tflite-int8 converted to QDQ", source="tflite-int8"),
    )
}

FORMATS: tuple[str, ...] = tuple(dict.fromkeys(scheme.format for scheme in SCHEMES.values()))


def get_backbone(name: str) -> Backbone:
    """The backbone called ``name``; raises :class:`InputError` with the choices if there is none."""
    if name == IMPORTED:
        return Backbone(IMPORTED, "imported model", "", "none", 0, None, min_image_size=8)
    try:
        return BACKBONES[name]
    except KeyError:
        raise unknown_name_error("backbone", name, BACKBONES) from None


def backbone_title(name: str) -> str:
    """The title of the backbone called ``name``; the name itself if the table has no such backbone."""
    return BACKBONES[name].title if name in BACKBONES else name


def get_scheme(key: str) -> Scheme:
    """The scheme called ``format-name`` (``tflite-int8``); :class:`InputError` with the choices otherwise."""
    try:
        return SCHEMES[key]
    except KeyError:
        raise InputError(f"unknown export {key!r}", hint=f"choose from: {', '.join(SCHEMES)}") from None
