"""Versions of the packages that make and check exported files."""

from __future__ import annotations

import platform
from importlib import metadata

from edgekit import __version__


def installed_version(*distributions: str) -> str:
    """The version of the first of ``distributions`` that is installed; ``unknown`` where none is."""
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def export_versions() -> dict[str, str]:
    """The versions that ``export.json`` records."""
    return {
        "edgekit": __version__,
        "python": platform.python_version(),
        "keras": installed_version("keras"),
        "tensorflow": installed_version("tensorflow", "tensorflow-cpu"),
        "onnx": installed_version("onnx"),
        "onnxruntime": installed_version("onnxruntime"),
        "ai_edge_quantizer": installed_version("ai-edge-quantizer"),
        "pnnx": installed_version("pnnx"),
        "tf2onnx": installed_version("tf2onnx"),
        "litert": installed_version("ai-edge-litert", "tflite-runtime"),
        "numpy": installed_version("numpy"),
    }
