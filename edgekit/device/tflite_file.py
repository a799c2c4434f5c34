"""What a TFLite file says about its inputs and outputs, read without a library.

The field numbers come from schema.fbs of TensorFlow Lite.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from .failures import ModelError
from .flatbuffer import Table


@dataclass(frozen=True)
class StoredTensor:
    """An input or output: its number among the tensors of the first subgraph, its name and quantization.

    ``scale`` is 0 where it is not quantized.
    """

    number: int
    name: str
    scale: float
    zero_point: int


def inputs_and_outputs(path: str) -> tuple[list[StoredTensor], list[StoredTensor]]:
    """Both, in the order of the file. Raises :class:`ModelError` if the file is damaged."""
    try:
        graph = Table.root(Path(path).read_bytes()).tables(2)[0]
        tensors = graph.tables(0)
        return (
            [_stored(number, tensors[number]) for number in graph.ints(1)],
            [_stored(number, tensors[number]) for number in graph.ints(2)],
        )
    except (struct.error, IndexError, UnicodeDecodeError):
        raise ModelError("not a TFLite model, or a damaged one", path) from None
    except OSError as error:
        raise ModelError(f"cannot read this model file: {error.strerror}", path) from None


def _stored(number: int, tensor: Table) -> StoredTensor:
    try:
        quantization = tensor.table(4)
    except IndexError:
        return StoredTensor(number, tensor.text(3), 0.0, 0)
    scales, zero_points = quantization.floats(2), quantization.longs(3)
    return StoredTensor(number, tensor.text(3), scales[0] if scales else 0.0, zero_points[0] if zero_points else 0)
