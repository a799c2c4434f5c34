"""What a person says about a third-party model: labels, preprocessing, output, and where its results go.

A preset stands for the preprocessing of a well-known source of models. To add one, add an entry to :data:`PRESETS`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.device.classifier import ACTIVATIONS
from edgekit.device.failures import DeviceError
from edgekit.device.images import FILTERS, RESIZES
from edgekit.device.scaling import parse_scaling
from edgekit.documents.labels_file import read_labels_file
from edgekit.errors import InputError


@dataclass(frozen=True)
class Preset:
    """The preprocessing that models of one source were made with."""

    name: str
    summary: str
    scaling: str
    resize: str
    filter: str


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("teachable-machine", "Teachable Machine's image models", "symmetric", "crop", "lanczos"),
        Preset("keras-symmetric", "keras.applications: MobileNet, Xception", "symmetric", "stretch", "bilinear"),
        Preset("keras-caffe", "keras.applications: VGG16, VGG19, ResNet50", "caffe", "stretch", "bilinear"),
        Preset("keras-torch", "keras.applications: DenseNet", "imagenet", "stretch", "bilinear"),
        Preset("tensorflow-hub", "image classifiers of TensorFlow Hub", "unit", "stretch", "bilinear"),
    )
}
"""By name. Options that are given beside a preset replace its values."""

LARGEST_SIDE = 8192


@dataclass(frozen=True)
class ThirdPartyOptions:
    """The options as the user gave them; None stands for what the model says itself, or the default."""

    labels: Path | None = None
    scaling: str | None = None
    resize: str | None = None
    out: Path | None = None
    filter: str | None = None
    image_size: str | None = None
    """``224``, or ``HEIGHTxWIDTH``."""
    output: str | None = None
    activation: str | None = None
    preset: str | None = None

    @property
    def given(self) -> list[str]:
        """The options that were given, as they are spelled on the command line."""
        return [f"--{name.replace('_', '-')}" for name, value in vars(self).items() if value is not None]

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of :attr:`image_size`."""
        if self.image_size is None:
            return None
        match = re.fullmatch(r"([1-9][0-9]{0,3})(?:x([1-9][0-9]{0,3}))?", self.image_size.strip().lower())
        height, width = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not match or max(height, width) > LARGEST_SIDE:
            raise InputError(
                f"{self.image_size!r} is not an image size", hint="write the side of a square, such as 224, or 224x160"
            )
        return height, width

    def checked(self) -> ThirdPartyOptions:
        """The options with the values of the preset. Raises :class:`InputError` for a value that nothing knows."""
        _known("preset", self.preset, tuple(PRESETS))
        preset = PRESETS.get(self.preset or "")
        options = self
        if preset is not None:
            options = replace(
                self,
                scaling=self.scaling or preset.scaling,
                resize=self.resize or preset.resize,
                filter=self.filter or preset.filter,
            )
        _known("resize method", options.resize, RESIZES)
        _known("filter", options.filter, tuple(FILTERS))
        _known("activation", options.activation, ACTIVATIONS)
        _ = options.size
        if options.scaling is not None:
            try:
                parse_scaling(options.scaling)
            except DeviceError as error:
                raise InputError(error.reason) from None
        return options

    def read_labels(self) -> tuple[str, ...] | None:
        """The class names in the labels file, in the order of the model's outputs; None without one."""
        return None if self.labels is None else tuple(read_labels_file(self.labels))


def _known(what: str, given: str | None, choices: Sequence[str]) -> None:
    if given is not None and given not in choices:
        raise InputError(f"unknown {what} {given!r}", hint=f"choose one of: {', '.join(choices)}")
