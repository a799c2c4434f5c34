"""Labels and scaling stored in a model file: TFLite metadata (a zip after the flatbuffer), properties of the others."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .archives import DAMAGED, member_names, read_member
from .failures import DeviceError
from .flatbuffer import Table
from .labels import MOST_BYTES, LabelsError, parse_labels
from .pixel_range import PERCENTILE, parse_range
from .protocol.events import MetadataDocument
from .resizing import RESIZES
from .runtimes import Model, model_format
from .scaling import Scaling, parse_scaling


@dataclass(frozen=True)
class FileMetadata:
    """What the metadata of a file contains; None for what is missing."""

    labels: list[str] | None = None
    scaling: Scaling | None = None
    resize: str | None = None
    pixel_range: str | None = None

    def document(self) -> MetadataDocument:
        return {
            "labels": self.labels,
            "scaling": self.scaling.document() if self.scaling else None,
            "resize": self.resize,
            "range": self.pixel_range,
        }


def read_metadata(path: str, model: Model) -> FileMetadata:
    """The metadata of an opened file. Metadata that cannot be read is ignored, because tools write different kinds."""
    if model_format(path) == "tflite":
        return FileMetadata(_tflite_labels(path), _tflite_scaling(path), *_images(_tflite_images(path)))
    return _text_metadata(model.properties)


def _text_metadata(properties: dict[str, str]) -> FileMetadata:
    try:
        own = json.loads(properties.get("edgekit", "{}"))
    except (ValueError, RecursionError):
        return FileMetadata()
    own = own if isinstance(own, dict) else {}
    try:
        scaling = parse_scaling(own["scaling"]) if "scaling" in own else None
    except DeviceError:
        scaling = None
    try:
        labels = parse_labels(properties["labels"].encode(), "labels.json") if "labels" in properties else None
    except LabelsError:
        labels = None
    return FileMetadata(labels, scaling, *_images(own))


def _images(own: dict[str, Any]) -> tuple[str | None, str | None]:
    """How images are resized, and the range of their pixels, as edgekit writes them; None for what is not usable."""
    resize, pixel_range = own.get("resize"), own.get("range")
    try:
        usable = isinstance(pixel_range, str) and (pixel_range == PERCENTILE or bool(parse_range(pixel_range)))
    except ValueError:
        usable = False
    return resize if resize in RESIZES else None, pixel_range if usable else None


def _tflite_images(path: str) -> dict[str, Any]:
    content = read_member(path, "edgekit.json", 10_000)
    try:
        own = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        return {}
    return own if isinstance(own, dict) else {}


def _tflite_labels(path: str) -> list[str] | None:
    """The lines of the label file in the zip. If there are several text files, the one whose name contains "label"."""
    texts = [name for name in member_names(path) if name.endswith(".txt")]
    named = [name for name in texts if "label" in name.lower()] or texts
    content = read_member(path, named[0], MOST_BYTES) if len(named) == 1 else None
    if content is None:
        return None
    try:
        return parse_labels(content, numbered=False)
    except LabelsError:
        return None


def _tflite_scaling(path: str) -> Scaling | None:
    """NormalizationOptions of the first input, read from the flatbuffer without a library.

    The field numbers come from schema.fbs and metadata_schema.fbs of TensorFlow Lite.
    """
    content = Path(path).read_bytes()
    try:
        model = Table.root(content)
        for entry in model.tables(6):  # Model.metadata
            if entry.text(0) != "TFLITE_METADATA":
                continue
            buffer = model.tables(4)[entry.number(1, "<I")]  # Model.buffers[Metadata.buffer]
            described = Table.root(buffer.bytes(0))
            first_input = described.tables(3)[0].tables(2)[0]  # subgraph_metadata, input_tensor_metadata
            for unit in first_input.tables(4):  # process_units
                if unit.number(0, "<B") == 1:  # the union contains NormalizationOptions
                    options = unit.table(1)
                    return parse_scaling({"mean": options.floats(0), "std": options.floats(1)})
    except (*DAMAGED, DeviceError):
        return None
    return None
