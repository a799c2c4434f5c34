"""What an ONNX file says about itself, read without a library: files with external data, and its last operators.

ONNX files are protocol buffers. The field numbers come from onnx.proto3 of the ONNX project. NumPy is not needed.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Union

from .failures import ModelError

Field = Union[int, memoryview]
"""The value of a field: a number, or the bytes of a text, a message or a packed list."""

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
EXTERNAL = 1
"""``TensorProto.data_location`` of a tensor whose values are in another file."""

DEEPEST = 32
"""How deeply graphs may be nested in operators."""


@dataclass(frozen=True)
class OnnxFacts:
    """``locations``: the files with external data, as the model names them, each once.

    ``producers``: by name of a graph output, the type of the operator that makes it. ``properties``: the text metadata
    (``metadata_props``).
    """

    locations: tuple[str, ...]
    producers: dict[str, str]
    properties: dict[str, str]


def onnx_facts(path: str) -> OnnxFacts:
    """Read the model at ``path``. Raises :class:`ModelError` if it is not an ONNX model."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123
            if not os.fstat(stream.fileno()).st_size:
                raise ModelError("not an ONNX model: the file is empty", path)
            # It is closed when nothing refers to it, because errors keep parts of it for a while.
            return _facts(memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)))
    except OSError as error:
        raise ModelError(f"cannot read this model file: {error.strerror}", path) from None
    except (ValueError, IndexError, RecursionError):
        raise ModelError("not an ONNX model, or a damaged one", path) from None


def external_files(path: str) -> dict[str, str]:
    """The files with external data of the model at ``path``, by the location that the model gives them.

    Raises :class:`ModelError` if one is missing, or is not in the folder of the model or below it.
    """
    folder = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120
    found = {}
    for location in onnx_facts(path).locations:
        check_location(location, path)
        file = os.path.join(folder, *PurePosixPath(location).parts)  # noqa: PTH118
        if not os.path.realpath(file).startswith(os.path.realpath(folder) + os.sep):
            raise ModelError(f"its external data {location!r} is a link to a path outside the model's folder", path)
        if not os.path.isfile(file):  # noqa: PTH113
            raise ModelError(f"its external data is missing: copy {location} into the folder of the model", path)
        found[location] = file
    return found


def check_location(location: str, path: str) -> None:
    """Raise :class:`ModelError` unless ``location`` names a file in the folder of the model ``path`` or below it."""
    parts = PurePosixPath(location).parts
    windows = PureWindowsPath(location)
    outside = location.startswith("/") or windows.drive or windows.root or ".." in parts or ".." in windows.parts
    if outside or not parts or "\0" in location:
        raise ModelError(f"its external data {location!r} is not in the folder of the model, so it is not read", path)


def _facts(model: memoryview) -> OnnxFacts:
    locations: dict[str, None] = {}
    producers: dict[str, str] = {}
    properties: dict[str, str] = {}
    for number, value in _fields(model):
        if number == 7:  # ModelProto.graph
            _collect(_message(value), locations, 0)
            producers = _producers(_message(value))
        elif number == 25:  # ModelProto.functions; FunctionProto.node is 7
            for inner, node in _fields(_message(value)):
                if inner == 7:
                    _collect_of_node(_message(node), locations, 1)
        elif number == 14:  # ModelProto.metadata_props: pairs of key and value
            pair = {inner: _text(text) for inner, text in _fields(_message(value))}
            properties[pair.get(1, "")] = pair.get(2, "")
    return OnnxFacts(tuple(locations), producers, properties)


def _collect(graph: memoryview, locations: dict[str, None], depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError("graphs are nested too deeply")
    for number, value in _fields(graph):
        if number == 1:  # GraphProto.node
            _collect_of_node(_message(value), locations, depth)
        elif number == 5:  # GraphProto.initializer
            _collect_of_tensor(_message(value), locations)
        elif number == 15:  # GraphProto.sparse_initializer
            _collect_of_sparse(_message(value), locations)


def _collect_of_node(node: memoryview, locations: dict[str, None], depth: int) -> None:
    for number, attribute in _fields(node):
        if number != 5:  # NodeProto.attribute
            continue
        for kind, value in _fields(_message(attribute)):
            if kind in (5, 10):  # AttributeProto.t, .tensors
                _collect_of_tensor(_message(value), locations)
            elif kind in (6, 11):  # AttributeProto.g, .graphs
                _collect(_message(value), locations, depth + 1)
            elif kind in (22, 23):  # AttributeProto.sparse_tensor, .sparse_tensors
                _collect_of_sparse(_message(value), locations)


def _collect_of_sparse(sparse: memoryview, locations: dict[str, None]) -> None:
    for number, value in _fields(sparse):
        if number in (1, 2):  # SparseTensorProto.values, .indices
            _collect_of_tensor(_message(value), locations)


def _collect_of_tensor(tensor: memoryview, locations: dict[str, None]) -> None:
    external, location = False, None
    for number, value in _fields(tensor):
        if number == 14:  # TensorProto.data_location
            external = value == EXTERNAL
        elif number == 13:  # TensorProto.external_data: pairs of key and value
            pair = {inner: _text(text) for inner, text in _fields(_message(value))}
            if pair.get(1) == "location":
                location = pair.get(2, "")
    if external and location is not None:
        locations[location] = None


def _producers(graph: memoryview) -> dict[str, str]:
    outputs, makers = [], {}
    for number, value in _fields(graph):
        if number == 12:  # GraphProto.output; ValueInfoProto.name is 1
            outputs += [_text(name) for inner, name in _fields(_message(value)) if inner == 1]
        elif number == 1:
            node = list(_fields(_message(value)))
            kind = next((_text(text) for inner, text in node if inner == 4), "")  # NodeProto.op_type
            makers.update({_text(name): (kind, node) for inner, name in node if inner == 2})  # NodeProto.output
    return {name: _maker(name, makers) for name in outputs}


_MOVES = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "DequantizeLinear", "QuantizeLinear")
"""Operators that leave the values as they are."""


def _maker(name: str, makers: dict[str, tuple[str, list[tuple[int, Field]]]]) -> str:
    """The operator that computes the tensor ``name``, behind those that only move or store its values."""
    for _ in range(DEEPEST):
        kind, node = makers.get(name, ("", []))
        inputs = [_text(text) for inner, text in node if inner == 1]  # NodeProto.input
        if kind not in _MOVES or not inputs:
            return kind
        name = inputs[0]
    return ""


def _fields(message: memoryview) -> Iterator[tuple[int, Field]]:
    """Numbers and values of the fields of a message. Raises :class:`ValueError` or :class:`IndexError` if damaged."""
    position, end = 0, len(message)
    while position < end:
        key, position = _varint(message, position)
        kind = key & 7
        if kind == VARINT:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if kind == LENGTH:
            size, position = _varint(message, position)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if position + size > end:
            raise ValueError("a field is longer than its message")
        yield key >> 3, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _message(value: Field) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message should be")  # noqa: TRY004 - the file is damaged
    return value


def _text(value: Field) -> str:
    return bytes(_message(value)).decode("utf-8")
