"""ncnn files: pnnx, the converter of the ncnn project, makes them from the network that the fp32 ONNX file contains."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.device.ncnn_file import INPUT, OUTPUT, NcnnModel, read_ncnn
from edgekit.errors import ConversionFailed
from edgekit.export.base import ExportFacts, OperatorTable
from edgekit.export.network import TrainedNetwork
from edgekit.export.onnx.maker import OnnxMaker, text_properties
from edgekit.export.versions import installed_version
from edgekit.recipe import Export

INSTALL_PNNX = "pip install --no-deps pnnx"
"""It lists PyTorch as a dependency, which it needs for PyTorch models only."""

LONGEST_S = 900
"""pnnx takes seconds for a large network."""

PNNX_NAMES = {"in0": INPUT, "out0": OUTPUT}

INTEGERS = ("Transpose", "Cast")
"""The operators that turn the uint8 input into floats, which ncnn does as it takes the image."""


class NcnnMaker:
    """See :class:`edgekit.export.base.Maker`."""

    def __init__(
        self,
        network: TrainedNetwork,
        calibration: NDArray[np.uint8],  # noqa: ARG002 - no scheme is calibrated
        facts: ExportFacts,
        settings: Export,  # noqa: ARG002
        onnx: OnnxMaker,
    ) -> None:
        self._network = network
        self._facts = facts
        self._onnx = onnx

    def make(self, scheme: str) -> bytes:
        """The file of ``scheme``: ``fp32`` or ``fp16``."""
        layers, weights = converted(self._floats, half=scheme == "fp16")
        labels = self._facts.labels
        return NcnnModel(layers, weights, self._network.image_size, len(labels), text_properties(self._facts)).content()

    def opset(self) -> int | None:
        return None

    def converter(self, scheme: str) -> tuple[str, str]:  # noqa: ARG002
        return "pnnx", installed_version("pnnx")

    def operators(self, content: bytes) -> OperatorTable:
        counts = dict(Counter(read_ncnn(content).layer_types()))
        return OperatorTable(counts, counts)

    def release(self) -> None:
        self.__dict__.pop("_floats", None)

    @cached_property
    def _floats(self) -> Any:
        """The fp32 ONNX model from the floats (1, 3, H, W) on."""
        return without_pixels(self._onnx.float32)


def without_pixels(model: Any) -> Any:
    """``model`` without the operators that turn its uint8 input into floats (1, 3, H, W).

    Raises :class:`ConversionFailed` if it begins with anything else.
    """
    import onnx

    graph = model.graph
    name = graph.input[0].name
    for kind in INTEGERS:
        (node,) = [node for node in graph.node if name in node.input] or [None]
        if node is None or node.op_type != kind:
            raise ConversionFailed(f"the network does not begin with {' and '.join(INTEGERS)}, as ncnn files need it")
        name = node.output[0]
    parts = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model))
    found = parts.extract_model([name], [graph.output[0].name])
    for node in found.graph.node:
        if node.op_type == "Pad" and not node.attribute:  # pnnx only knows the pads whose mode is written down
            node.attribute.append(onnx.helper.make_attribute("mode", "constant"))
    return found


def converted(model: Any, *, half: bool) -> tuple[str, bytes]:
    """The layers and weights that pnnx makes of an ONNX ``model`` with one float input; ``half``: float16 weights.

    Raises :class:`ConversionFailed` if pnnx fails, or leaves an operator that ncnn does not have.
    """
    import onnx

    shape = [side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim]
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        onnx.save_model(model, Path(folder) / "model.onnx")
        given = f"inputshape=[{','.join(map(str, shape))}]f32"
        command = [pnnx_program(), "model.onnx", given, f"fp16={int(half)}"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=LONGEST_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConversionFailed(f"pnnx did not run: {error}") from error
        layers, weights = Path(folder) / "model.ncnn.param", Path(folder) / "model.ncnn.bin"
        if done.returncode or not layers.is_file() or not weights.is_file():
            lines = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
            raise ConversionFailed(f"pnnx ended with code {done.returncode}: {lines[-1].strip()}")
        text = layers.read_text(encoding="utf-8")
        unknown = unknown_layers(text)
        if unknown:
            raise ConversionFailed(f"ncnn has no layer for these operators: {', '.join(unknown)}")
        return _renamed(text), weights.read_bytes()


def _renamed(layers: str) -> str:
    """``layers`` with the names that input and output have in every exported file."""
    for name, ours in PNNX_NAMES.items():
        layers = re.sub(rf"(?<=\s){name}(?=\s)", ours, layers)
    return layers


def unknown_layers(layers: str) -> list[str]:
    """The operators that pnnx left as they were, because ncnn has nothing like them."""
    import ncnn

    types = {line.split()[0] for line in layers.splitlines()[2:] if line.strip()}
    return sorted(kind for kind in types if ncnn.layer_to_index(kind) < 0)


def pnnx_program() -> str:
    """The path of the program in the package ``pnnx``, whose Python part needs PyTorch."""
    spec = importlib.util.find_spec("pnnx")
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    found = shutil.which("pnnx", path=folders[0]) if folders else None
    if found is None:
        raise ConversionFailed(f"pnnx is not installed: {INSTALL_PNNX}")
    return found
