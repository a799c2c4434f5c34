"""The table of export formats: which class makes the files of each, and which packages it needs.

To add a format, add a folder with a maker beside ``tflite/`` and ``onnx/``, one entry here, and its schemes in
:data:`edgekit.registry.SCHEMES`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from edgekit.export.base import ExportFacts, Maker, MakerClass, QuantizingMaker
from edgekit.export.ncnn.maker import INSTALL_PNNX, NcnnMaker
from edgekit.export.network import INSTALL, TrainedNetwork
from edgekit.export.onnx.maker import OnnxMaker
from edgekit.export.tflite.maker import TFLiteMaker
from edgekit.recipe import Export


@dataclass(frozen=True)
class FormatEntry:
    """``maker`` makes the files of a format; ``modules`` are the third-party modules that it imports.

    ``uses`` are the formats whose makers it takes as further arguments, to use what they have computed. ``install``
    is the command that installs the modules and a runtime.
    """

    maker: MakerClass
    modules: tuple[str, ...]
    uses: tuple[str, ...] = ()
    install: str = INSTALL


MAKERS: dict[str, FormatEntry] = {
    "tflite": FormatEntry(TFLiteMaker, ("tensorflow", "ai_edge_litert")),
    "onnx": FormatEntry(OnnxMaker, ("onnx", "onnxruntime"), uses=("tflite",)),
    "ncnn": FormatEntry(
        NcnnMaker,
        ("onnx", "onnxruntime", "pnnx", "ncnn"),
        uses=("onnx",),
        install=f'pip install "edgekit[ncnn]" && {INSTALL_PNNX}',
    ),
}
"""One entry for each format of :data:`edgekit.registry.FORMATS`."""


@dataclass
class Makers:
    """The makers of one network, one for each format. They are kept, because the files of a format share steps."""

    network: TrainedNetwork
    calibration: NDArray[np.uint8]
    """Images uint8 (N, H, W, 3)."""
    facts: ExportFacts
    settings: Export
    _made: dict[str, Maker] = field(default_factory=dict)

    def of(self, file_format: str) -> Maker:
        """The maker of a format."""
        if file_format not in self._made:
            entry = MAKERS[file_format]
            others = [self.of(name) for name in entry.uses]
            self._made[file_format] = entry.maker(self.network, self.calibration, self.facts, self.settings, *others)
        return self._made[file_format]

    def quantizing(self, file_format: str) -> QuantizingMaker:
        """The maker of a format that has calibrated schemes."""
        return cast("QuantizingMaker", self.of(file_format))

    def release(self, file_format: str) -> None:
        """All files of this format are made: its maker need not keep the weights any more."""
        if file_format in self._made:
            self._made[file_format].release()
