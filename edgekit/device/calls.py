"""The request that a host sends, and the bytes after it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, BinaryIO, Generic

from .failures import DeviceError
from .protocol.verbs import Given


@dataclass(frozen=True)
class Call(Generic[Given]):
    """A request, the session that it belongs to, and the stream with the bytes that follow it."""

    request: Given
    session: str
    owner: str
    stream: BinaryIO


def read_call(stream: BinaryIO) -> Call[Any]:
    """Read the first line of ``stream``. Raises :class:`DeviceError` if it is not a request."""
    try:
        envelope = json.loads(stream.readline() or b"{}")
        return Call(envelope["request"], str(envelope["session"]), str(envelope["owner"]), stream)
    except (ValueError, KeyError, TypeError) as error:
        raise DeviceError(f"this is not a request: {error!r}") from None
