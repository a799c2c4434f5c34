"""Errors on the device. Each has a kind that the host turns into its own error."""

from __future__ import annotations

from .protocol.events import ErrorKind


class DeviceError(Exception):
    """A job failed for a known reason. ``where`` is the model or file that it is about."""

    kind: ErrorKind = "job"

    def __init__(self, reason: str, where: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.where = where


class ModelError(DeviceError):
    """The file is not a model, or not an image classifier that this program can feed."""

    kind: ErrorKind = "model"


class MissingRuntimeError(DeviceError):
    """No installed runtime runs files of this format."""

    kind: ErrorKind = "runtime"


class PictureError(DeviceError):
    """An image cannot be read."""

    kind: ErrorKind = "image"


class OutputError(DeviceError):
    """The model ran, but its output is not a result (NaN or infinity)."""

    kind: ErrorKind = "output"


class StorageError(DeviceError):
    """The device's disk is full or cannot be written to."""

    kind: ErrorKind = "disk"


class BusyError(DeviceError):
    """Another session is measuring on this device."""

    kind: ErrorKind = "busy"


class CameraError(DeviceError):
    """No camera returns images."""

    kind: ErrorKind = "camera"


class NotOfferedError(Exception):
    """A runtime offers no operator profile; the message says why."""
