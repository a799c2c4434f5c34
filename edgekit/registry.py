"""The tables a newcomer extends: backbones, export schemes, runtimes. Pure data, nothing heavy imported."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.device.runtime_table import RUNTIMES as RUNTIMES  # noqa: PLC0414 - part of this table of tables
from edgekit.errors import InputError


@dataclass(frozen=True)
class Backbone:
    """One ImageNet architecture of ``keras.applications``.

    ``scaling`` is what its ImageNet weights expect of RGB pixels in 0-255: ``"symmetric"`` is [-1, 1],
    ``"caffe"`` is BGR minus the ImageNet mean; random weights get [-1, 1]. ``imagenet_top1`` is the figure of Keras's
    own table (percent), ``parameters`` counts the network without its top.
    """

    name: str
    title: str
    keras_class: str
    scaling: str
    parameters: int
    imagenet_top1: float
    macs: int = 0
    """Multiply-accumulates for one image of 224 x 224 without the top, width 1."""
    min_image_size: int = 32
    default_image_size: int = 224
    weights_file: str = ""
    """Pattern of the file name under which Keras keeps the ImageNet weights without top."""
    alphas: tuple[float, ...] = ()
    """Width multipliers that ImageNet weights exist for; empty: the width cannot be chosen."""
    kernel_initializer: str | None = None
    """What ``weights: none`` draws kernels from, where the architecture's own choice does not train."""


@dataclass(frozen=True)
class Scheme:
    """One kind of exported file: a format and a numeric scheme."""

    format: str
    name: str
    extension: str
    calibrated: bool
    summary: str
    training: str = ""
    """Further training of the network that it needs, one of :data:`FURTHER_TRAINING`; empty: none."""
    methods: tuple[str, ...] = ("minmax",)
    """How the range of an activation can follow from the values seen, for files that are calibrated."""
    source: str | None = None
    """The export that this one is made from, where it is made from another."""

    @property
    def ranges(self) -> tuple[str, ...]:
        """``methods``, and none for a file that is not calibrated, nor for one that was trained as integers."""
        return self.methods if self.calibrated else ()

    @property
    def numbers(self) -> str:
        """``fp32``, ``fp16``, ``dynamic`` or ``int8``, whatever training there was."""
        return self.name.partition("-")[0]

    @property
    def made_as(self) -> str:
        """The scheme that a maker makes: of a network that was trained further, the file is made as of any."""
        return self.numbers if self.training else self.name

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

STRATEGIES: dict[str, str] = {
    "feature-extraction": "backbone frozen, only the head is trained",
    "fine-tuning": "feature extraction first, then the last layers of the backbone are opened",
    "from-scratch": "every layer trained from random weights (the default with --weights none)",
}

FURTHER_TRAINING: dict[str, str] = {
    "qat": "trained on with 8-bit rounding in every step",
    "pruned": "trained on while its smallest weights become 0",
    "clustered": "trained on with few different weights in a kernel",
}
"""How a finished network is trained on for smaller files, by TensorFlow Model Optimization."""

SCHEMES: dict[str, Scheme] = {
    s.key: s
    for s in (
        Scheme("tflite", "fp32", ".tflite", False, "32-bit floats"),
        Scheme("tflite", "fp16", ".tflite", False, "16-bit float weights; CPUs compute in fp32"),
        Scheme("tflite", "dynamic", ".tflite", False, "8-bit weights, activations while running"),
        Scheme("tflite", "int8", ".tflite", True, "8-bit weights per channel and activations"),
        Scheme("tflite", "int8-qat", ".tflite", True, "int8 after quantization-aware training", "qat"),
        Scheme("tflite", "fp32-pruned", ".tflite", False, "32-bit floats, part of the weights 0", "pruned"),
        Scheme("tflite", "int8-pruned", ".tflite", True, "int8 of the pruned network", "pruned"),
        Scheme("tflite", "fp32-clustered", ".tflite", False, "32-bit floats, few different weights", "clustered"),
        Scheme("tflite", "int8-clustered", ".tflite", True, "int8 of the clustered network", "clustered"),
        Scheme("onnx", "fp32", ".onnx", False, "32-bit floats"),
        Scheme("onnx", "fp16", ".onnx", False, "16-bit float weights; CPUs compute in fp32"),
        Scheme("onnx", "dynamic", ".onnx", False, "8-bit weights, activations while running"),
        Scheme(
            "onnx",
            "int8",
            ".onnx",
            True,
            "8-bit, QDQ; minmax, percentile or entropy",
            methods=("minmax", "percentile", "entropy"),
        ),
        Scheme("onnx", "int8-tflite", ".onnx", True, "the integers of tflite-int8 as QDQ", source="tflite-int8"),
    )
}

FORMATS: tuple[str, ...] = ("tflite", "onnx")


def get_backbone(name: str) -> Backbone:
    """The table entry called ``name``; :class:`InputError` with the choices where there is none."""
    try:
        return BACKBONES[name]
    except KeyError:
        raise InputError(f"no backbone is called {name!r}", hint=f"choose one of: {', '.join(BACKBONES)}") from None


def get_scheme(key: str) -> Scheme:
    """The scheme called ``format-name`` (``tflite-int8``); :class:`InputError` with the choices otherwise."""
    try:
        return SCHEMES[key]
    except KeyError:
        raise InputError(f"no export is called {key!r}", hint=f"choose among: {', '.join(SCHEMES)}") from None
