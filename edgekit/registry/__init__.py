"""The tables of backbones and export schemes: pure data, without heavy imports."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.device.runtime_table import RUNTIMES as RUNTIMES
from edgekit.errors import InputError
from edgekit.registry.backbones import BACKBONES as BACKBONES
from edgekit.registry.backbones import IMPORTED as IMPORTED
from edgekit.registry.backbones import Backbone as Backbone
from edgekit.registry.backbones import backbone_problem as backbone_problem
from edgekit.registry.backbones import backbone_title as backbone_title
from edgekit.registry.backbones import get_backbone as get_backbone


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
            "8-bit, QDQ, uint8 activations: fast on x86",
            methods=("minmax", "percentile", "entropy"),
        ),
        Scheme(
            "onnx",
            "int8-s8s8",
            ".onnx",
            True,
            "the same with int8 activations: for Arm",
            methods=("minmax", "percentile", "entropy"),
        ),
        Scheme("onnx", "int8-tflite", ".onnx", True, "tflite-int8 converted to QDQ", source="tflite-int8"),
        Scheme("ncnn", "fp32", ".ncnn", False, "32-bit floats"),
        Scheme("ncnn", "fp16", ".ncnn", False, "16-bit float weights"),
    )
}

FORMATS: tuple[str, ...] = tuple(dict.fromkeys(scheme.format for scheme in SCHEMES.values()))


def get_scheme(key: str) -> Scheme:
    """The scheme called ``format-name`` (``tflite-int8``); :class:`InputError` with the choices otherwise."""
    try:
        return SCHEMES[key]
    except KeyError:
        raise InputError(f"unknown export {key!r}", hint=f"choose from: {', '.join(SCHEMES)}") from None
