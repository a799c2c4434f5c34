"""Which files may be sent to a target.

A run folder or a folder of images from somebody else may contain links, and a link in the place of an image may lead to
a private key. Links are common among images, so each is followed only to what it claims to be.
"""

from __future__ import annotations

from pathlib import Path

from edgekit.device.archives import member_names
from edgekit.device.failures import DeviceError
from edgekit.device.onnx_file import external_files
from edgekit.errors import InputError


def check_golden(path: Path) -> None:
    """Raise :class:`InputError` unless ``path`` is a file of golden outputs, and no link."""
    if path.is_symlink():
        raise InputError(
            "the golden outputs are a link, so they are not sent",
            where=str(path),
            hint="replace the link by the file, or export the model again",
        )
    if not path.is_file():
        return  # whoever opens it says so
    if not {"inputs.npy", "outputs.npy"} <= set(member_names(str(path))):
        raise InputError(
            "this file has no golden outputs, so it is not sent", where=str(path), hint="export the model again"
        )


def check_model(path: Path) -> None:
    """Raise :class:`InputError` if ``path`` is a link, also one of its folder, to something that is no model."""
    if _is_linked(path) and path.is_file() and not _starts_like_a_model(path):
        raise _misleading(path, "a model")


def external_data(path: Path) -> dict[str, Path]:
    """The files with external data of the model at ``path``, by the location that it gives them.

    Raises :class:`InputError` for a file that is missing, or that is not in the folder of the model or below it.
    """
    if path.suffix.lower() != ".onnx":
        return {}
    try:
        return {location: Path(file) for location, file in external_files(str(path)).items()}
    except DeviceError as error:
        raise InputError(error.reason, where=error.where) from None


def check_image(path: Path) -> None:
    """The same for images."""
    if not _is_linked(path) or not path.is_file():
        return
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path):
            return
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        raise _misleading(path, "an image") from None


def _is_linked(path: Path) -> bool:
    """Whether the file or the folder that contains it is a link. Folders further up are the user's own choice."""
    return path.is_symlink() or path.parent.is_symlink()


def _starts_like_a_model(path: Path) -> bool:
    """TFLite files have an identifier; ONNX files start with the number of their format."""
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError:
        return True  # whoever reads it says so
    return head[4:8] == b"TFL3" if path.suffix.lower() == ".tflite" else head[:1] == b"\x08"


def _misleading(path: Path, kind: str) -> InputError:
    return InputError(
        f"this is a link to a file that is not {kind}, so it is not sent",
        where=str(path),
        hint=f"it leads to {path.resolve()}",
    )
