"""What every export format has in common: what is known about a file beforehand, and what its module must offer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit.export.check.operators import OperatorTable
from edgekit.export.network import TrainedNetwork
from edgekit.recipe import Export


@dataclass(frozen=True)
class FileFacts:
    """What a file says about itself in its metadata."""

    title: str
    run_id: str
    backbone: str
    labels: list[str]
    image_size: int
    resize: str


@dataclass(frozen=True)
class ActivationRange:
    """What a quantized tensor can hold, and the step between two values. ``layer``: its Keras layer where known."""

    tensor: str
    layer: str | None
    low: float
    high: float
    step: float


class Maker(Protocol):
    """Makes the files of one format of one network; steps that several schemes need are done once."""

    def make(self, scheme: str) -> bytes:
        """The file of one scheme, with its metadata. Takes uint8 (1, H, W, 3) RGB 0-255."""

    def opset(self) -> int | None:
        """The version of the operator set, where the format has one."""

    def converter(self, scheme: str) -> tuple[str, str]:
        """Name and version of the program that made the file."""

    def operators(self, content: bytes) -> OperatorTable:
        """What a file consists of."""


class QuantizingMaker(Maker, Protocol):
    """Quantizes the network itself, so that layers can be kept in float and ranges looked at."""

    def quantizable(self) -> list[str]:
        """The Keras layers that int8 quantizes, in the network's order."""

    def mixed(self, floats: frozenset[str]) -> bytes:
        """The int8 file in which the layers ``floats`` compute in float."""

    def activation_ranges(self, content: bytes) -> list[ActivationRange]:
        """Where the quantized activations of an int8 file end, in the order of the file."""

    def activations(self, names: list[str], pixels: NDArray[np.uint8]) -> Iterator[list[NDArray[np.float32]]]:
        """What the tensors ``names`` hold in float, for each image of ``pixels`` uint8 (N, H, W, 3)."""


MakerClass = Callable[[TrainedNetwork, NDArray[np.uint8], FileFacts, Export], QuantizingMaker]
"""Network, calibration images uint8 (N, H, W, 3), facts, the recipe's settings."""


def maker_class(file_format: str) -> MakerClass:
    """The class that makes files of a format of :data:`edgekit.registry.FORMATS`."""
    from edgekit.export.onnx.maker import OnnxMaker
    from edgekit.export.tflite.maker import TFLiteMaker

    makers: dict[str, MakerClass] = {"tflite": TFLiteMaker, "onnx": OnnxMaker}
    return makers[file_format]


PACKAGES: dict[str, tuple[str, ...]] = {"tflite": ("tensorflow", "ai_edge_litert"), "onnx": ("onnx", "onnxruntime")}
"""Modules that the makers of a format import."""


def installed_version(*distributions: str) -> str:
    """The version of the first of ``distributions`` that is installed."""
    from importlib import metadata

    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def signature(facts: FileFacts) -> dict[str, Any]:
    """How to feed the file, for metadata that takes free-form JSON."""
    return {
        "input": {"dtype": "uint8", "layout": "NHWC", "color": "RGB", "range": [0, 255]},
        "scaling": "none",
        "resize": facts.resize,
        "run_id": facts.run_id,
        "backbone": facts.backbone,
    }
