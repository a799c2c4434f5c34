"""TFLite metadata: the flatbuffer ``TFLITE_METADATA``, and the label file in a zip after the model.

No maintained package writes it (tflite-support ended in 2023 with Python 3.11), so its few tables are built here field
by field. Field numbers are positions in metadata_schema.fbs, version 1.5.0:
https://github.com/tensorflow/tflite-support/blob/v0.4.4/tensorflow_lite_support/metadata/metadata_schema.fbs
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from edgekit.export.base import ExportFacts

NAME = "TFLITE_METADATA"
"""Name of the entry in ``Model.metadata`` whose buffer contains the flatbuffer."""

LABEL_FILE = "labels.txt"
IMAGES_FILE = "edgekit.json"

_FILE_IDENTIFIER = b"M001"
_MIN_PARSER_VERSION = "1.0.0"  # no field used below is newer
_TENSOR_AXIS_LABELS = 2  # enum AssociatedFileType
_RGB = 1  # enum ColorSpaceType
_IMAGE_PROPERTIES = 2  # union ContentProperties
_NORMALIZATION_OPTIONS = 1  # union ProcessUnitOptions


def metadata_buffer(facts: ExportFacts) -> bytes:
    """The ``ModelMetadata`` flatbuffer: an RGB image with unscaled pixels in, labelled probabilities out."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    image = _tensor(
        builder,
        name="image",
        description=f"RGB image of {facts.image_size}x{facts.image_size} pixels, 0-255; scaling is inside the model.",
        fields={
            3: _image_content(builder, facts.image_size),  # content
            4: _tables(builder, [_unscaled_pixels(builder)]),  # process_units
            5: _stats(builder, 0.0, 255.0),  # stats
        },
    )
    probabilities = _tensor(
        builder,
        name="probabilities",
        description="One probability for each label.",
        fields={
            5: _stats(builder, 0.0, 1.0),
            6: _tables(builder, [_label_file(builder)]),  # associated_files
        },
    )
    subgraph = _table(
        builder,
        10,
        {2: _tables(builder, [image]), 3: _tables(builder, [probabilities])},  # input_, output_tensor_metadata
    )
    root = _table(
        builder,
        8,
        {
            0: builder.CreateString(facts.title),  # name
            1: builder.CreateString(
                f"Image classifier of {len(facts.labels)} classes, made by edgekit."
            ),  # description
            2: builder.CreateString(facts.run_id),  # version
            3: _tables(builder, [subgraph]),  # subgraph_metadata
            7: builder.CreateString(_MIN_PARSER_VERSION),  # min_parser_version
        },
    )
    builder.Finish(root, file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


def with_label_file(model: bytes, labels: list[str], images: dict[str, str]) -> bytes:
    """``model`` followed by an uncompressed zip with ``labels.txt`` (UTF-8, one label per line) and ``edgekit.json``.

    ``images`` says how images become pixels, for which TensorFlow Lite has no place in its own metadata.
    A zip is read from its end and a flatbuffer from its start, so the file stays a valid model.
    """
    stream = io.BytesIO(model)
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        # A fixed date, so that the same model gives the same file.
        for name, text in (
            (LABEL_FILE, "".join(f"{label}\n" for label in labels)),
            (IMAGES_FILE, json.dumps(images, sort_keys=True)),
        ):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text)
    return stream.getvalue()


def _tensor(builder: Any, *, name: str, description: str, fields: dict[int, int]) -> int:
    """TensorMetadata: 0 name, 1 description, 3 content, 4 process_units, 5 stats, 6 associated_files."""
    return _table(builder, 7, {0: builder.CreateString(name), 1: builder.CreateString(description), **fields})


def _image_content(builder: Any, image_size: int) -> int:
    """Content(0 content_properties_type, 1 content_properties): ImageProperties(0 color_space, 1 default_size)."""
    builder.StartObject(2)  # ImageSize: 0 width, 1 height
    builder.PrependUint32Slot(0, image_size, 0)
    builder.PrependUint32Slot(1, image_size, 0)
    size = builder.EndObject()
    builder.StartObject(2)
    builder.PrependInt8Slot(0, _RGB, 0)
    builder.PrependUOffsetTRelativeSlot(1, size, 0)
    image = builder.EndObject()
    return _union(builder, 3, _IMAGE_PROPERTIES, image)


def _unscaled_pixels(builder: Any) -> int:
    """ProcessUnit(0 options_type, 1 options): NormalizationOptions(0 mean, 1 std), (pixel - mean) / std."""
    options = _table(builder, 2, {0: _floats(builder, [0.0]), 1: _floats(builder, [1.0])})
    return _union(builder, 2, _NORMALIZATION_OPTIONS, options)


def _stats(builder: Any, low: float, high: float) -> int:
    """Stats: 0 max, 1 min."""
    return _table(builder, 2, {0: _floats(builder, [high]), 1: _floats(builder, [low])})


def _label_file(builder: Any) -> int:
    """AssociatedFile: 0 name, 1 description, 2 type."""
    name = builder.CreateString(LABEL_FILE)
    description = builder.CreateString("Class names in the order of the output.")
    builder.StartObject(5)
    builder.PrependUOffsetTRelativeSlot(0, name, 0)
    builder.PrependUOffsetTRelativeSlot(1, description, 0)
    builder.PrependInt8Slot(2, _TENSOR_AXIS_LABELS, 0)
    return int(builder.EndObject())


def _union(builder: Any, size: int, kind: int, value: int) -> int:
    """A table of ``size`` fields whose first two are a union: its type and its table."""
    builder.StartObject(size)
    builder.PrependUint8Slot(0, kind, 0)
    builder.PrependUOffsetTRelativeSlot(1, value, 0)
    return int(builder.EndObject())


def _table(builder: Any, size: int, fields: dict[int, int]) -> int:
    """A table of ``size`` fields, all given ones being offsets of strings, vectors or tables."""
    builder.StartObject(size)
    for number, offset in fields.items():
        builder.PrependUOffsetTRelativeSlot(number, offset, 0)
    return int(builder.EndObject())


def _tables(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _floats(builder: Any, values: list[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())
