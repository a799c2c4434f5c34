"""What can go wrong on the device, with a kind that the host turns into its own error."""

from __future__ import annotations


class DeviceError(Exception):
    """A job could not be done for a reason that can be named. ``where`` is the model or file it is about."""

    kind = "job"

    def __init__(self, reason: str, where: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.where = where


class ModelError(DeviceError):
    """The file is not a model, or not an image classifier that this program can feed."""

    kind = "model"


class MissingRuntimeError(DeviceError):
    """No installed runtime runs files of this format."""

    kind = "runtime"


class PictureError(DeviceError):
    """An image could not be read."""

    kind = "image"


class OutputError(DeviceError):
    """The model ran and gave something that is no result (NaN or infinity)."""

    kind = "output"


class StorageError(DeviceError):
    """The device's disk is full or refuses to be written."""

    kind = "disk"


class BusyError(DeviceError):
    """Somebody else measures on this device now."""

    kind = "busy"


class CameraError(DeviceError):
    """No camera gives pictures."""

    kind = "camera"
