"""Labels and scaling that a model file carries: TFLite metadata (a zip behind the flatbuffer), ONNX metadata_props."""

from __future__ import annotations

import json
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from .failures import DeviceError
from .runtimes import Model, model_format
from .scaling import Scaling, parse_scaling


@dataclass(frozen=True)
class FileMetadata:
    """What the file says about itself; None where it says nothing."""

    labels: list[str] | None = None
    scaling: Scaling | None = None
    resize: str | None = None

    def document(self) -> dict[str, object]:
        return {
            "labels": self.labels,
            "scaling": self.scaling.document() if self.scaling else None,
            "resize": self.resize,
        }


def read_metadata(path: str, model: Model) -> FileMetadata:
    """The metadata of an opened file. Unreadable metadata is as good as none: every tool writes its own."""
    if model_format(path) == "tflite":
        return FileMetadata(_tflite_labels(path), _tflite_scaling(path))
    return _onnx_metadata(model.properties)


def _onnx_metadata(properties: dict[str, str]) -> FileMetadata:
    try:
        own = json.loads(properties.get("edgekit", "{}"))
        labels = json.loads(properties["labels"]) if "labels" in properties else None
    except ValueError:
        return FileMetadata()
    own = own if isinstance(own, dict) else {}
    try:
        scaling = parse_scaling(own["scaling"]) if "scaling" in own else None
    except DeviceError:
        scaling = None
    is_names = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    return FileMetadata(labels if is_names else None, scaling, own.get("resize"))


def _tflite_labels(path: str) -> list[str] | None:
    """The lines of the label file in the zip; where there are several text files, the one called label..."""
    try:
        with zipfile.ZipFile(path) as archive:
            texts = [name for name in archive.namelist() if name.endswith(".txt")]
            named = [name for name in texts if "label" in name.lower()] or texts
            if len(named) != 1:
                return None
            return archive.read(named[0]).decode("utf-8").splitlines()
    except (zipfile.BadZipFile, UnicodeDecodeError, OSError):
        return None


def _tflite_scaling(path: str) -> Scaling | None:
    """NormalizationOptions of the first input, read from the flatbuffer without a library.

    Field numbers are those of schema.fbs and metadata_schema.fbs of TensorFlow Lite.
    """
    content = Path(path).read_bytes()
    try:
        model = _Table.root(content)
        for entry in model.tables(6):  # Model.metadata
            if entry.text(0) != "TFLITE_METADATA":
                continue
            buffer = model.tables(4)[entry.number(1, "<I")]  # Model.buffers[Metadata.buffer]
            described = _Table.root(buffer.bytes(0))
            first_input = described.tables(3)[0].tables(2)[0]  # subgraph_metadata, input_tensor_metadata
            for unit in first_input.tables(4):  # process_units
                if unit.number(0, "<B") == 1:  # the union holds NormalizationOptions
                    options = unit.table(1)
                    return parse_scaling({"mean": options.floats(0), "std": options.floats(1)})
    except (struct.error, IndexError, UnicodeDecodeError, DeviceError):
        return None
    return None


class _Table:
    """One table of a flatbuffer: fields are found by number through the table's vtable."""

    def __init__(self, content: bytes, position: int) -> None:
        self._content = content
        self._position = position

    @classmethod
    def root(cls, content: bytes) -> _Table:
        return cls(content, struct.unpack_from("<I", content, 0)[0])

    def _field(self, number: int) -> int | None:
        vtable = self._position - self._at(self._position, "<i")
        entry = 4 + 2 * number
        offset = self._at(vtable + entry, "<H") if entry < self._at(vtable, "<H") else 0
        return self._position + offset if offset else None

    def _at(self, position: int, code: str) -> int:
        return int(struct.unpack_from(code, self._content, position)[0])

    def _vector(self, number: int) -> tuple[int, int]:
        """Position of the first element and number of elements."""
        field = self._field(number)
        if field is None:
            return 0, 0
        start = field + self._at(field, "<I")
        return start + 4, self._at(start, "<I")

    def number(self, number: int, code: str) -> int:
        field = self._field(number)
        return 0 if field is None else self._at(field, code)

    def table(self, number: int) -> _Table:
        field = self._field(number)
        if field is None:
            raise IndexError(number)
        return _Table(self._content, field + self._at(field, "<I"))

    def tables(self, number: int) -> list[_Table]:
        start, count = self._vector(number)
        positions = range(start, start + 4 * count, 4)
        return [_Table(self._content, p + self._at(p, "<I")) for p in positions]

    def bytes(self, number: int) -> bytes:
        start, count = self._vector(number)
        return self._content[start : start + count]

    def text(self, number: int) -> str:
        return self.bytes(number).decode("utf-8")

    def floats(self, number: int) -> list[float]:
        start, count = self._vector(number)
        return list(struct.unpack_from(f"<{count}f", self._content, start))
