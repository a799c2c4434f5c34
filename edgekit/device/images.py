"""From image files to pixels. Training, calibration, evaluation and the device all use this module."""

import io
import os
import struct
import zlib
from typing import Any, BinaryIO, NamedTuple, Union

import numpy as np
import PIL
from PIL import Image, TiffImagePlugin

Source = Union[str, "os.PathLike[str]", bytes, BinaryIO]
"""A path, the bytes of a file, or an open binary file."""

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pnm"}
)
"""Lower-case suffixes of image files."""

RESIZES = ("stretch", "crop", "pad")

DECODER = f"edgekit-1 Pillow {PIL.__version__}"
"""Identifies what the pixels depend on. The first number is raised when this module produces different pixels."""

# A closed list, because Pillow also opens formats that start other programs (EPS) or read other files.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, OverflowError)
_BROKEN_STREAM = (struct.error, zlib.error, Image.DecompressionBombError)
_WITH_ALPHA = ("LA", "La", "RGBA", "RGBa", "PA")
_GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION_TAG = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageError(ValueError):
    """A file cannot be decoded; ``reason`` says why in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ImageHeader(NamedTuple):
    """What a file says about its image. ``width`` and ``height`` are in pixels, after EXIF orientation."""

    width: int
    height: int
    mode: str
    format: str


def decode_rgb(source: Source) -> Image.Image:
    """The first frame as an upright RGB image with 8 bits per channel, in full size.

    EXIF orientation is applied, transparent pixels are blended with white, 16-bit grey is scaled by 1/257, CMYK is
    converted.
    Raises :class:`ImageError` if the content is not an image, is damaged or truncated, or has no defined pixel range;
    :class:`OSError` if the file itself cannot be read.
    """
    return _decode(source, 0).convert("RGB")


def load_image(source: Source, size: int, resize: str = "stretch") -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Decode and resize to a square: uint8 ``(size, size, 3)``, RGB, 0-255.

    ``resize``: ``"stretch"`` changes the aspect ratio, ``"crop"`` keeps the central square, ``"pad"`` adds black bars.
    Bilinear with antialiasing. A JPEG much larger than ``size`` is decoded at 1/2, 1/4 or 1/8 of its size, never below
    ``2 * size``, which takes a fraction of the time. Raises as :func:`decode_rgb`.
    """
    if resize not in RESIZES:
        raise ValueError(f"resize must be one of {', '.join(RESIZES)}, not {resize!r}")
    image = _decode(source, 2 * size)
    return np.array(_square(image, size, resize).convert("RGB"))


def square_rgb(pixels: Any, size: int, resize: str = "stretch") -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Resize a camera's pixels uint8 (H, W, 3) to a square, as :func:`load_image` does for files."""
    return np.array(_square(Image.fromarray(pixels), size, resize))


def read_header(source: Source) -> ImageHeader:
    """Size, mode and format without decoding the pixels. Raises as :func:`decode_rgb`."""
    content = _content(source)
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            width, height = image.size
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                # Some versions of Pillow have already rotated this size, others have not. The tags are reliable.
                width, height = image.tag_v2[256], image.tag_v2[257]
            if _orientation(image) >= 5:
                width, height = height, width
            return ImageHeader(width, height, image.mode, str(image.format))
    except (*_BROKEN, *_BROKEN_STREAM) as error:
        raise ImageError(_reason(error, content)) from error


def _content(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as stream:  # noqa: PTH123 - os.PathLike, not only Path
            return stream.read()
    return source.read()


def _decode(source: Source, enough: int) -> Image.Image:
    """An upright ``L`` or ``RGB`` image. ``enough`` > 0: a JPEG may be decoded smaller, down to this many pixels."""
    content = _content(source)
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if enough:
                image.draft(None, (enough, enough))
            image.load()
            orientation = _orientation(image)
            plain = _plain(image)
    except ImageError:
        raise  # it has its reason already, and is a ValueError too
    except (*_BROKEN, *_BROKEN_STREAM) as error:
        raise ImageError(_reason(error, content)) from error
    return plain.transpose(_TRANSPOSE[orientation]) if orientation in _TRANSPOSE else plain


def _orientation(image: Image.Image) -> int:
    # Damaged EXIF data says nothing about the pixels, so the image is used as it is stored.
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except (*_BROKEN, struct.error):
        return 1
    return value if isinstance(value, int) else 1


def _plain(image: Image.Image) -> Image.Image:
    """Any mode as ``L`` or ``RGB`` with 8 bits per channel."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image.copy()
    if image.mode in _GREY_16 or image.mode == "I":
        return _from_16_bit(image)
    if image.mode == "F":
        raise ImageError("floating-point pixels have no defined range")
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError("32-bit integer pixels have no defined range")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _square(image: Image.Image, size: int, resize: str) -> Image.Image:
    width, height = image.size
    bilinear = Image.Resampling.BILINEAR
    if width == height:
        return image if width == size else image.resize((size, size), bilinear)
    if resize == "stretch":
        return image.resize((size, size), bilinear)
    if resize == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return image.resize((size, size), bilinear, box=(left, top, left + side, top + side))
    side = max(width, height)
    inner = (max(1, round(width * size / side)), max(1, round(height * size / side)))
    square = Image.new(image.mode, (size, size))
    square.paste(image.resize(inner, bilinear), ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return square


def _reason(error: BaseException, content: bytes) -> str:
    if not content:
        return "the file is empty"
    if isinstance(error, PIL.UnidentifiedImageError):
        return "not an image"
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels"
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text if len(text) <= 100 else text[:97] + "..."
