"""Files on the device by their content: ``objects/<sha256><suffix>``, each checked when it arrives and when it is used.

Standard library only. The working folder is the current one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from .failures import DeviceError

OBJECTS = Path("objects")
NAME = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]{1,8})?")
PROGRAM = "edgekit-device.pyz"
DEPLOYED = ("model.tflite", "model.onnx", "labels.txt", "golden.npz", "README.txt", PROGRAM, "site")
"""What `edgekit deploy` leaves in a folder below ``deploy/``."""
BLOCK = 1 << 20
KEEP_FREE = 16 << 20
"""Bytes that a transfer leaves free: a system with a full disk is hard to get into."""


def have(request: dict[str, Any], _stream: BinaryIO, emit: Callable[..., None]) -> None:
    """The verb: which of the ``objects`` are missing or are not what their name says, and how much room there is.

    A file whose content is not that of its name (a damaged memory card) is removed.
    """
    OBJECTS.mkdir(exist_ok=True)
    missing = []
    for name in map(str, request["objects"]):
        path = object_path(name)
        if not path.is_file():
            missing.append(name)
        elif file_sha256(path) != name[:64]:
            path.unlink()
            missing.append(name)
    emit("have", missing=missing, free_bytes=shutil.disk_usage(OBJECTS).free - KEEP_FREE)


def put(request: dict[str, Any], stream: BinaryIO, emit: Callable[..., None]) -> None:
    """The verb: files from stdin, one behind the other, as ``objects`` names them with their sizes.

    Each is written beside its place, checked, and given its name: ``stored``, or ``corrupt`` where its bytes are not
    those that were sent. A stream that ends early leaves nothing half-written.
    """
    OBJECTS.mkdir(exist_ok=True)
    for entry in request["objects"]:
        name, size = str(entry["name"]), int(entry["size"])
        path = object_path(name)
        part = path.with_name(f"{name}.{os.getpid()}.part")
        try:
            digest = _receive(stream, part, size)
            if digest == name[:64]:
                part.replace(path)
            emit("stored" if digest == name[:64] else "corrupt", name=name)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()


def _receive(stream: BinaryIO, part: Path, size: int) -> str:
    """Write ``size`` bytes to ``part``; the SHA-256 of what was written, as it is read back from the disk."""
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


def place(request: dict[str, Any], _stream: BinaryIO, emit: Callable[..., None]) -> None:
    """The verb: a folder below ``deploy/`` with copies of objects under real names, and a link to the packages.

    ``files``: file name -> object; ``environment``: the packages' folder below ``env/`` or None. The files of an
    earlier deployment of that name are replaced at once, never half; what a person put beside them stays. Raises
    :class:`DeviceError` for a folder of that name that is no deployment.
    """
    folder = Path("deploy") / plain_name(request["folder"])
    old = folder.with_name(f".{folder.name}.old")
    _keep_others(old, folder)
    if folder.is_symlink() or (folder.exists() and not (folder / PROGRAM).is_file()):
        raise DeviceError("this folder was not made by edgekit deploy: choose another --name", str(folder.resolve()))
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, object_name in request["files"].items():
        shutil.copyfile(object_path(str(object_name)), part / plain_name(name))
    if request.get("environment"):
        site = Path("..", "..", "env", plain_name(request["environment"]), "site")
        (part / "site").symlink_to(site)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    _keep_others(old, folder)
    emit("placed", folder=str(folder.resolve()))


def _keep_others(old: Path, folder: Path) -> None:
    """Bring what a person put into the deployment ``old`` to ``folder``, and remove the rest.

    ``old`` may be of a deployment that was interrupted; without ``folder`` it becomes that again.
    """
    if not old.is_dir():
        return
    if not folder.exists():
        old.rename(folder)
        return
    for entry in list(old.iterdir()):
        if entry.name not in DEPLOYED and not (folder / entry.name).exists():
            entry.rename(folder / entry.name)
        elif entry.name in DEPLOYED and (entry.is_symlink() or entry.is_file()):
            entry.unlink()
    with contextlib.suppress(OSError):
        old.rmdir()


def object_path(name: str) -> Path:
    """Where an object lies; :class:`DeviceError` for a name that is none."""
    if not NAME.fullmatch(name):
        raise DeviceError(f"{name!r} is not the name of an object")
    return OBJECTS / name


def plain_name(name: Any) -> str:
    """``name`` where it is a file name of one part; :class:`DeviceError` otherwise."""
    text = str(name)
    if not text or text.startswith(".") or "/" in text or "\0" in text:
        raise DeviceError(f"{text!r} is not a plain file name")
    return text


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()
