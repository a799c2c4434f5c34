"""The table of backbones: pure data, without heavy imports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import InputError
from edgekit.support.suggestions import unknown_name, unknown_name_error

KERAS = "keras:"
"""``keras:NAME`` is the class NAME of ``keras.applications``."""

FILES = (".keras", ".h5")
"""Suffixes of a backbone that is a file."""

IMPORTED = "imported"
"""``model.backbone`` in the recipe of an imported run, whose network edgekit neither built nor trained."""


@dataclass(frozen=True)
class Backbone:
    """An architecture from ``keras.applications``, or from a file.

    ``scaling`` is the preprocessing that the ImageNet weights expect: ``"symmetric"`` is RGB in [-1, 1], ``"caffe"`` is
    BGR minus the ImageNet mean, ``"imagenet"`` is RGB minus the mean, divided by the standard deviation. Where Keras
    has preprocessing inside the network, edgekit makes one scaling layer of it. Random weights get [-1, 1].
    ``imagenet_top1`` is the accuracy in percent in the documentation of Keras, and ``parameters`` counts the network
    without its top.
    """

    name: str
    title: str
    keras_class: str
    scaling: str
    parameters: int
    imagenet_top1: float | None
    macs: int = 0
    """Multiply-accumulates for one image of 224 x 224 pixels, without the top and at width 1; 0 if they are unknown."""
    min_image_size: int = 32
    default_image_size: int = 224
    weights_file: str = ""
    """Pattern of the name of the file in which Keras stores the ImageNet weights without the top."""
    alphas: tuple[float, ...] = ()
    """Width multipliers with ImageNet weights; empty if the backbone has no width multiplier."""
    kernel_initializer: str | None = None
    """Initializer for ``weights: none``, if the architecture does not train with its own."""
    copied: bool = False
    """Whether the network is a flat copy of the one in Keras, because that has models or preprocessing inside, or
    layers without fixed names."""
    file: str | None = None
    """The path of a backbone that is a file."""
    int8_agreement: tuple[float, float] | None = None
    """Percentage of test images that its plain TFLite int8 file classifies as the Keras model does, trained from
    scratch on the embedded digits, and on brain MRI with 100 images per class, which leaves it uncertain
    (``benchmarks/backbones.py``); None if it was not measured."""

    @property
    def slug(self) -> str:
        """The name as a part of file names."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.name)

    @property
    def size_mb(self) -> float:
        """Size of the weights in 32-bit floats, in MB."""
        return self.parameters * 4 / 1e6


BACKBONES: dict[str, Backbone] = {
    b.name: b
    for b in (
        Backbone(
            name="vgg16",
            title="VGG16",
            int8_agreement=(99.4, 96.0),
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
            int8_agreement=(100.0, 89.7),
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
            int8_agreement=(99.2, 92.8),
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
            int8_agreement=(99.2, 97.9),
            macs=3_855_925_248,
            keras_class="ResNet50",
            weights_file="resnet50_*_notop.h5",
            scaling="caffe",
            parameters=23_587_712,
            imagenet_top1=74.9,
        ),
        Backbone(
            name="mobilenet",
            title="MobileNet",
            int8_agreement=(98.3, 90.0),
            macs=567_716_352,
            keras_class="MobileNet",
            weights_file="mobilenet_*_tf_no_top.h5",
            scaling="symmetric",
            parameters=3_228_864,
            imagenet_top1=70.4,
            alphas=(0.25, 0.5, 0.75, 1.0),
        ),
        Backbone(
            name="mobilenetv3small",
            title="MobileNetV3Small",
            int8_agreement=(99.7, 84.4),
            macs=54_896_576,
            keras_class="MobileNetV3Small",
            weights_file="weights_mobilenet_v3_small_*_no_top*.h5",
            scaling="symmetric",
            parameters=939_120,
            imagenet_top1=68.1,
            alphas=(0.75, 1.0),
            copied=True,
        ),
        Backbone(
            name="mobilenetv3large",
            title="MobileNetV3Large",
            int8_agreement=(98.6, 90.7),
            macs=214_080_960,
            keras_class="MobileNetV3Large",
            weights_file="weights_mobilenet_v3_large_*_no_top*.h5",
            scaling="symmetric",
            parameters=2_996_352,
            imagenet_top1=75.6,
            alphas=(0.75, 1.0),
            copied=True,
        ),
        Backbone(
            name="efficientnetb0",
            title="EfficientNetB0",
            int8_agreement=(98.1, 74.8),
            macs=384_534_752,
            keras_class="EfficientNetB0",
            weights_file="efficientnetb0_notop.h5",
            scaling="imagenet",
            parameters=4_049_571,
            imagenet_top1=77.1,
            copied=True,
        ),
        Backbone(
            name="efficientnetv2b0",
            title="EfficientNetV2B0",
            int8_agreement=(98.6, 89.1),
            macs=716_806_176,
            keras_class="EfficientNetV2B0",
            weights_file="efficientnetv2-b0_notop.h5",
            scaling="imagenet",
            parameters=5_919_312,
            imagenet_top1=78.7,
            copied=True,
        ),
        Backbone(
            name="convnexttiny",
            title="ConvNeXtTiny",
            int8_agreement=(100.0, 89.9),
            macs=4_454_763_264,
            keras_class="ConvNeXtTiny",
            weights_file="convnext_tiny_notop.h5",
            scaling="imagenet",
            parameters=27_820_128,
            imagenet_top1=81.3,
            copied=True,
        ),
        Backbone(
            name="densenet121",
            title="DenseNet121",
            int8_agreement=(99.4, 90.5),
            macs=2_833_137_664,
            keras_class="DenseNet121",
            weights_file="densenet121_*_notop.h5",
            scaling="imagenet",
            parameters=7_037_504,
            imagenet_top1=75.0,
            copied=True,
        ),
        Backbone(
            name="nasnetmobile",
            title="NASNetMobile",
            int8_agreement=(98.6, 92.9),
            macs=562_582_816,
            keras_class="NASNetMobile",
            weights_file="nasnet_mobile_no_top.h5",
            scaling="symmetric",
            parameters=4_269_716,
            imagenet_top1=74.4,
            copied=True,
        ),
        Backbone(
            name="xception",
            title="Xception",
            int8_agreement=(99.7, 98.7),
            macs=4_550_831_072,
            keras_class="Xception",
            weights_file="xception_*_notop.h5",
            scaling="symmetric",
            parameters=20_861_480,
            imagenet_top1=79.0,
            min_image_size=71,
            copied=True,
        ),
        Backbone(
            name="resnet101v2",
            title="ResNet101V2",
            int8_agreement=(99.4, 39.7),
            macs=7_192_428_544,
            keras_class="ResNet101V2",
            weights_file="resnet101v2_*_notop.h5",
            scaling="symmetric",
            parameters=42_626_560,
            imagenet_top1=77.2,
        ),
    )
}


def get_backbone(name: str) -> Backbone:
    """The backbone called ``name``: one of the table, ``keras:NAME``, or the path of a ``.keras`` or ``.h5`` file.

    Raises :class:`InputError` with the choices for any other name. Whether the class or the file exists is found out
    when the network is built.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    found = _other(name)
    if found is None:
        raise unknown_name_error("backbone", name, [*BACKBONES, f"{KERAS}NAME", "PATH.keras"])
    return found


def backbone_problem(name: str) -> str | None:
    """Why ``name`` is not a backbone, in one line; None if it is one."""
    if name in BACKBONES or _other(name) is not None:
        return None
    return unknown_name("backbone", name, [*BACKBONES, f"{KERAS}NAME", "PATH.keras"])


def backbone_title(name: str) -> str:
    """The title of the backbone called ``name``; the name itself if there is no such backbone."""
    try:
        return get_backbone(name).title if name != IMPORTED else name
    except InputError:
        return name


def _other(name: str) -> Backbone | None:
    """A backbone that is not in the table."""
    if name == IMPORTED:
        return Backbone(IMPORTED, "imported model", "", "none", 0, None, min_image_size=8)
    if re.fullmatch(rf"{KERAS}\w+", name):
        keras_class = name.removeprefix(KERAS)
        known = next((entry for entry in BACKBONES.values() if entry.keras_class == keras_class), None)
        return known or Backbone(name, keras_class, keras_class, "keras", 0, None, copied=True)
    if name.endswith(FILES) and len(Path(name).stem) > 0:
        return Backbone(Path(name).stem, Path(name).stem, "", "none", 0, None, 8, copied=True, file=name)
    return None
