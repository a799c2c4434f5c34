"""A ``.ncnn`` file: a zip with the two files of an ncnn model, and what edgekit has to know to feed it.

ncnn keeps a network in two files: ``model.ncnn.param`` with the layers, as text, and ``model.ncnn.bin`` with the
weights. In one file they cannot be mixed up, and its size and hash are those of the whole model. ``unzip model.ncnn``
gives the two to any other program that uses ncnn. Standard library only.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from .archives import DAMAGED
from .failures import ModelError

PARAM, BIN, ABOUT = "model.ncnn.param", "model.ncnn.bin", "edgekit.json"
LABELS = "labels.txt"

MAGIC = "7767517"
"""The first line of every file with the layers of an ncnn model."""

INPUT, OUTPUT = "image", "probabilities"
"""The names of input and output."""

_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can contain: the same model gives the same bytes."""


@dataclass(frozen=True)
class NcnnModel:
    """The parts of a ``.ncnn`` file. ``properties`` are the text metadata, as ONNX files have them."""

    layers: str
    weights: bytes
    image_size: int
    classes: int
    properties: dict[str, str]

    @property
    def last_layer(self) -> str:
        """The type of the layer that makes the output, such as ``Softmax``."""
        lines = [line.split() for line in self.layers.splitlines() if line.strip()]
        return next((line[0] for line in reversed(lines) if OUTPUT in line), "")

    def layer_types(self) -> list[str]:
        """The type of every layer but the inputs, in the order of the file."""
        names = [line.split()[0] for line in self.layers.splitlines()[2:] if line.strip()]
        return [name for name in names if name != "Input"]

    def content(self) -> bytes:
        """The file, uncompressed: ncnn reads the weights without unpacking them first."""
        about = {"image_size": self.image_size, "classes": self.classes, "properties": self.properties}
        members = {PARAM: self.layers.encode(), BIN: self.weights, ABOUT: json.dumps(about, indent=1).encode()}
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, data in members.items():
                archive.writestr(zipfile.ZipInfo(name, _TIME), data)
        return stream.getvalue()


def read_ncnn(source: str | bytes) -> NcnnModel:
    """Read the file at the path ``source``, or one that is given as bytes.

    Raises :class:`ModelError` if it is not such a file, or damaged: ncnn itself ends the process for some of them.
    """
    where = None if isinstance(source, bytes) else source
    try:
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            layers, weights, about = (archive.read(name) for name in (PARAM, BIN, ABOUT))
        known = json.loads(about)
        found = NcnnModel(
            layers.decode("utf-8"),
            weights,
            int(known["image_size"]),
            int(known["classes"]),
            {str(key): str(value) for key, value in known["properties"].items()},
        )
    except (*DAMAGED, RecursionError):
        raise ModelError("not a .ncnn file of edgekit, or a damaged one", where) from None
    if found.layers.partition("\n")[0].strip() != MAGIC:
        raise ModelError("not a .ncnn file of edgekit: its layers are not those of an ncnn model", where)
    return found


@contextmanager
def weights_file(model: NcnnModel) -> Iterator[str]:
    """The path of a temporary file with the weights, which is all that ncnn's Python package can read them from."""
    with TemporaryDirectory(prefix="edgekit-") as folder:
        path = Path(folder) / BIN
        path.write_bytes(model.weights)
        yield str(path)
