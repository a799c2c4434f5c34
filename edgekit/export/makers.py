"""The table of export formats: which class makes the files of each, and which packages it needs.

To add a format, add a folder with a maker beside ``tflite/`` and ``onnx/``, one entry here, and its schemes in
:data:`edgekit.registry.SCHEMES`.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.export.base import MakerClass
from edgekit.export.onnx.maker import OnnxMaker
from edgekit.export.tflite.maker import TFLiteMaker


@dataclass(frozen=True)
class FormatEntry:
    """``maker`` makes the files of a format; ``modules`` are the third-party modules that it imports."""

    maker: MakerClass
    modules: tuple[str, ...]


MAKERS: dict[str, FormatEntry] = {
    "tflite": FormatEntry(TFLiteMaker, ("tensorflow", "ai_edge_litert")),
    "onnx": FormatEntry(OnnxMaker, ("onnx", "onnxruntime")),
}
"""One entry for each format of :data:`edgekit.registry.FORMATS`."""
