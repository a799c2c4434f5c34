"""Files on the device, named by their content: ``objects/<sha256><suffix>``. Each is checked on arrival and before use.

Standard library only; the working folder is the current folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import BinaryIO

from .calls import Call
from .failures import DeviceError
from .protocol import Emit
from .protocol.requests import HaveEvent, HaveRequest, PutRequest, StoredEvent
from .working_folder import OBJECTS

NAME = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]{1,8})?")
BLOCK = 1 << 20
KEEP_FREE = 16 << 20
"""Bytes that a transfer leaves free: it is hard to log in to a system with a full disk."""


def have(call: Call[HaveRequest], emit: Emit[HaveEvent]) -> None:
    """The verb: which objects are missing, and how much space is free.

    A file whose content does not match its name (a damaged memory card) is removed and counts as missing.
    """
    OBJECTS.mkdir(exist_ok=True)
    missing = []
    for name in call.request["objects"]:
        path = object_path(name)
        if not path.is_file():
            missing.append(name)
        elif file_sha256(path) != name[:64]:
            path.unlink()
            missing.append(name)
    free = max(0, shutil.disk_usage(OBJECTS).free - KEEP_FREE)
    emit({"event": "have", "missing": missing, "free_bytes": free})


def put(call: Call[PutRequest], emit: Emit[StoredEvent]) -> None:
    """The verb: store the files that follow in the stream, one after another.

    Each is written beside its place, checked and then renamed: ``stored``, or ``corrupt`` if its bytes are not those
    that were sent. A stream that ends early leaves nothing half written.
    """
    OBJECTS.mkdir(exist_ok=True)
    for entry in call.request["objects"]:
        name = entry["name"]
        path = object_path(name)
        part = path.with_name(f"{name}.{os.getpid()}.part")
        try:
            intact = _receive(call.stream, part, entry["size"]) == name[:64]
            if intact:
                part.replace(path)
            emit({"event": "stored" if intact else "corrupt", "name": name})
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()


def _receive(stream: BinaryIO, part: Path, size: int) -> str:
    """Write ``size`` bytes to ``part``. Returns the SHA-256 of the file as it is read back from the disk."""
    with part.open("wb") as file:
        left = size
        while left:
            block = stream.read(min(BLOCK, left))
            if not block:
                raise DeviceError("the transfer ended early")
            file.write(block)
            left -= len(block)
        file.flush()
        os.fsync(file.fileno())
    return file_sha256(part)


def object_path(name: str) -> Path:
    """The path of an object. Raises :class:`DeviceError` for an invalid name."""
    if not NAME.fullmatch(name):
        raise DeviceError(f"invalid object name {name!r}")
    return OBJECTS / name


def plain_name(name: str) -> str:
    """``name``, if it is the name of a file in one folder. Raises :class:`DeviceError` otherwise."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise DeviceError(f"{name!r} is not a plain file name")
    return name


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()
