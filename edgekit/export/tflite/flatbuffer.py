"""TFLite files as Python objects, and back."""

from __future__ import annotations

from typing import Any

_ROOM = 1 << 20


def unpack(content: bytes) -> Any:
    """The ``ModelT`` of a TFLite file. Weights that are stored after the flatbuffer are moved into it."""
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for buffer in model.buffers:
        if buffer.offset > 1:  # 0 and 1 stand for none
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def pack(model: Any, size_bytes: int) -> bytes:
    """The TFLite file of a ``ModelT``; ``size_bytes`` is its approximate size."""
    import flatbuffers

    # Reserve room for the weights: otherwise the builder doubles and copies its buffer repeatedly.
    builder = flatbuffers.Builder(size_bytes + _ROOM)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
