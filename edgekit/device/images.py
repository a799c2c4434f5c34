"""From image files to pixels. Training, calibration, evaluation and the device all use this module."""

import io
import logging
import os
import re
import struct
import threading
import warnings
import zlib
from typing import Any, BinaryIO, NamedTuple, Optional, Union

import numpy as np
import PIL
from PIL import Image, TiffImagePlugin

from .file_kinds import format_of, other_kind
from .image_memory import LIMIT_VARIABLE, default_limit_mb
from .libtiff_messages import silence_libtiff
from .pixel_range import FULL, PERCENTILE, parse_range, range_table

Source = Union[str, "os.PathLike[str]", bytes, BinaryIO]
"""A path, the bytes of a file, or an open binary file."""

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pnm"}
)
"""Lower-case suffixes of image files."""

RESIZES = ("stretch", "crop", "pad")

BILINEAR = "bilinear"
FILTERS = {
    BILINEAR: Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "area": Image.Resampling.BOX,
    "nearest": Image.Resampling.NEAREST,
}
"""How pixels are computed when an image becomes smaller or larger, by name. All but ``nearest`` use antialiasing."""

Size = Union[int, "tuple[int, int]"]
"""The side of a square, or height and width, in pixels."""

DECODER = f"edgekit-2 Pillow {PIL.__version__}"
"""Identifies what the pixels depend on. The first number is raised when this module produces different pixels."""

# A closed list, because Pillow also opens formats that start other programs (EPS) or read other files.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, OverflowError)
_BROKEN_STREAM = (struct.error, zlib.error, Image.DecompressionBombError)
_WITH_ALPHA = ("LA", "La", "RGBA", "RGBa", "PA")
_GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, **dict.fromkeys(_GREY_16, 2)}
"""How Pillow stores the pixels of a mode; all other modes take 4 bytes."""
_LARGE_BYTES = 100_000_000
_STRIP_PIXELS = 1_000_000
_ONE_LARGE = threading.Lock()
"""Large images are decoded one at a time, so that the memory does not grow with the number of threads."""
_QUIET = ("ignore", None, Warning, re.compile(r"PIL(\.|$)"), 0)
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


class ImageTooLargeError(ImageError):
    """Decoding a file would take more memory than :data:`LIMIT_VARIABLE` allows. Its content may be fine."""


class ImageHeader(NamedTuple):
    """What a file says about its image. ``width`` and ``height`` are in pixels, after EXIF orientation.

    ``bits`` is 16 for more than 8 bits per channel. ``traits`` name what is converted: ``"animated"``, ``"alpha"``,
    ``"palette"``, ``"CMYK"``, ``"rotated"`` (EXIF) and ``"16-bit"``.
    """

    width: int
    height: int
    mode: str
    format: str
    bits: int = 8
    traits: "tuple[str, ...]" = ()


class LoadedImage(NamedTuple):
    """``pixels`` uint8 (size, size, 3), and the largest value (0 to 65535) of an image with more than 8 bits.

    ``is_deep_colour``: the file has 16 bits for each colour, of which Pillow reads the upper 8.
    """

    pixels: "np.ndarray[Any, np.dtype[np.uint8]]"
    peak: Optional[int]
    is_deep_colour: bool


class _Decoded(NamedTuple):
    image: Image.Image
    peak: Optional[int]
    is_deep_colour: bool


def decode_rgb(source: Source, pixel_range: str = FULL) -> Image.Image:
    """The first frame as an upright RGB image with 8 bits per channel, in full size.

    EXIF orientation is applied, transparent pixels are blended with white, CMYK is converted. Values of more than 8
    bits are scaled by ``pixel_range``: ``"full"`` (0-65535 to 0-255), ``"percentile"`` (the 0.5th to 99.5th percentile
    of each image), or a range such as ``"0-4095"``, outside of which values are clipped.
    Raises :class:`ImageError` if the content is not an image, is damaged or truncated, has no defined pixel range, or
    takes more memory than :data:`LIMIT_VARIABLE` allows; :class:`OSError` if the file itself cannot be read.
    """
    return _decode(source, 0, pixel_range).image.convert("RGB")


def load_image(
    source: Source,
    size: Size,
    resize: str = "stretch",
    pixel_range: str = FULL,
    resample: str = BILINEAR,
    channels: int = 3,
) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Decode and resize to a square, or to height and width: uint8 ``(H, W, channels)``, 0-255.

    ``resize``: ``"stretch"`` changes the aspect ratio, ``"crop"`` keeps the centre, ``"pad"`` adds black bars.
    ``resample`` is one of :data:`FILTERS`. ``channels``: 3 for RGB, 1 for grey (ITU-R 601-2 luma).

    With the bilinear filter, a JPEG much larger than ``size`` is decoded at 1/2, 1/4 or 1/8 of its size, never below
    ``2 * size``, which takes a fraction of the time. ``pixel_range`` and errors are those of :func:`decode_rgb`.
    """
    return load_with_peak(source, size, resize, pixel_range, resample, channels).pixels


def load_with_peak(
    source: Source,
    size: Size,
    resize: str = "stretch",
    pixel_range: str = FULL,
    resample: str = BILINEAR,
    channels: int = 3,
) -> LoadedImage:
    """:func:`load_image`, with the largest value of an image with more than 8 bits."""
    for name, given, known in (("resize", resize, RESIZES), ("the filter", resample, FILTERS)):
        if given not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {given!r}")
    height, width = (size, size) if isinstance(size, int) else size
    # Other filters are asked for to get the pixels of another program, which has decoded the whole image.
    enough = 2 * max(height, width) if resample == BILINEAR else 0
    decoded = _decode(source, enough, pixel_range)
    return LoadedImage(
        _pixels(_fitted(decoded.image, height, width, resize, resample), channels), decoded.peak, decoded.is_deep_colour
    )


def fitted_pixels(
    pixels: Any, size: Size, resize: str = "stretch", resample: str = BILINEAR, channels: int = 3
) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Resize a camera's pixels uint8 (H, W, 3), as :func:`load_image` does for files."""
    height, width = (size, size) if isinstance(size, int) else size
    return _pixels(_fitted(Image.fromarray(pixels), height, width, resize, resample), channels)


def read_header(source: Source) -> ImageHeader:
    """Size, mode, format and traits without decoding the pixels. Raises as :func:`decode_rgb`."""
    content = _content(source)
    _silence()
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            width, height = image.size
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                # Some versions of Pillow have already rotated this size, others have not. The tags are reliable.
                width, height = image.tag_v2[256], image.tag_v2[257]
            orientation = _orientation(image)
            if orientation >= 5:
                width, height = height, width
            bits = 16 if _is_deep(image, content) else 8
            found = {
                "animated": image.format != "MPO" and bool(getattr(image, "is_animated", False)),
                "alpha": image.mode in _WITH_ALPHA or "transparency" in image.info,
                "palette": image.mode in ("P", "PA") and image.format != "GIF",
                "CMYK": image.mode == "CMYK",
                "rotated": orientation in _TRANSPOSE,
                "16-bit": bits == 16,
            }
            traits = tuple(name for name, is_so in found.items() if is_so)
            return ImageHeader(width, height, image.mode, str(image.format), bits, traits)
    except (*_BROKEN, *_BROKEN_STREAM) as error:
        raise ImageError(_reason(error, content)) from error


def _silence() -> None:
    """Keep what Pillow says about odd files from the terminal. What matters of it becomes an error or a trait."""
    if warnings.filters[:1] != [_QUIET]:
        warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
    silence_libtiff()
    logger = logging.getLogger("PIL")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _content(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as stream:  # noqa: PTH123 - os.PathLike, not only Path
            return stream.read()
    return source.read()


def _decode(source: Source, enough: int, pixel_range: str) -> _Decoded:
    """An upright ``L`` or ``RGB`` image. ``enough`` > 0: a JPEG may be decoded smaller, down to this many pixels."""
    if pixel_range != PERCENTILE:
        parse_range(pixel_range)
    content = _content(source)
    _silence()
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            whole = image.width * image.height
            if enough:
                image.draft(None, (enough, enough))
            if _need_memory(image, whole, len(content)) > _LARGE_BYTES:
                with _ONE_LARGE:
                    return _upright(image, content, pixel_range)
            return _upright(image, content, pixel_range)
    except ImageError:
        raise  # it has its reason already, and is a ValueError too
    except MemoryError as error:
        raise ImageTooLargeError("not enough memory to decode it") from error
    except (*_BROKEN, *_BROKEN_STREAM) as error:
        raise ImageError(_reason(error, content)) from error


def _upright(image: Image.Image, content: bytes, pixel_range: str) -> _Decoded:
    image.load()
    orientation = _orientation(image)
    decoded = _plain(image, content, pixel_range)
    if orientation in _TRANSPOSE:
        return decoded._replace(image=decoded.image.transpose(_TRANSPOSE[orientation]))
    return decoded


def _need_memory(image: Image.Image, whole: int, file_bytes: int) -> int:
    """About how many bytes decoding takes; raises :class:`ImageTooLargeError` if these are more than the limit.

    ``whole`` is the number of pixels of the file, of which a JPEG may decode fewer.
    """
    # The pixels as they are stored, and a copy of them that is RGB or upright.
    needed = image.width * image.height * (_BYTES_PER_PIXEL.get(image.mode, 4) + 4) + file_bytes
    if image.format == "WEBP":
        needed += 8 * whole  # the canvas of libwebp, and its pixels as bytes
    if image.info.get("progressive"):
        needed += 6 * whole  # libjpeg keeps all coefficients
    allowed_mb = limit_mb()
    if needed > allowed_mb * 1_000_000:
        raise ImageTooLargeError(
            f"decoding {image.width} x {image.height} pixels needs {needed / 1e6:,.0f} MB, over the limit of "
            f"{LIMIT_VARIABLE}={allowed_mb}"
        )
    return needed


def limit_mb() -> int:
    """The memory in MB that decoding one image may take; raises :class:`ImageTooLargeError` if it is set wrongly."""
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    if not text:
        return default_limit_mb()
    if not re.fullmatch(r"[1-9][0-9]{0,6}", text):
        raise ImageTooLargeError(f"{LIMIT_VARIABLE} is not a number of MB: {text[:20]!r}")
    return int(text)


def _orientation(image: Image.Image) -> int:
    # Damaged EXIF data says nothing about the pixels, so the image is used as it is stored.
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except (*_BROKEN, struct.error):
        return 1
    return value if isinstance(value, int) else 1


def _is_deep(image: Image.Image, content: bytes) -> bool:
    """Whether the file has more than 8 bits per channel."""
    if image.mode in _GREY_16 or image.mode == "I":
        return True
    if image.format == "PNG":
        return content[24:25] == b"\x10"
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(258, 8)
        return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)
    return False


def _plain(image: Image.Image, content: bytes, pixel_range: str) -> _Decoded:
    """Any mode as ``L`` or ``RGB`` with 8 bits per channel."""
    if image.mode in _GREY_16 or image.mode == "I":
        return _from_16_bit(image, pixel_range)
    if image.mode == "F":
        raise ImageError("floating-point pixels have no defined range")
    deep = _is_deep(image, content)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        plain = _on_white(image)
    else:
        plain = image if image.mode in ("L", "RGB") else image.convert("RGB")
    if not deep:
        return _Decoded(plain, None, False)
    table = range_table(np.array(plain.histogram(), np.int64).reshape(-1, 256).sum(axis=0), pixel_range, 257)
    extrema: Any = plain.getextrema()
    peak = max(high for _, high in extrema) if plain.mode == "RGB" else extrema[1]
    return _Decoded(plain.point(table.tolist() * len(plain.getbands())), int(peak) * 257, True)


def _on_white(image: Image.Image) -> Image.Image:
    """The image blended with white, some rows at a time."""
    result = Image.new("RGB", image.size)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(image.height, top + rows))
        strip = image.crop(box)
        if "transparency" in image.info:
            strip.info["transparency"] = image.info["transparency"]
        rgba = strip.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        result.paste(Image.alpha_composite(white, rgba).convert("RGB"), box)
    return result


def _from_16_bit(image: Image.Image, pixel_range: str) -> _Decoded:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError("32-bit integer pixels have no defined range")
    counts = np.zeros(65536, np.int64)
    rows = max(1, _STRIP_PIXELS // image.width)
    if pixel_range == PERCENTILE:
        for top in range(0, image.height, rows):
            counts += np.bincount(values[top : top + rows].ravel(), minlength=65536)
    table = range_table(counts, pixel_range, 1)
    pixels = np.empty(values.shape, np.uint8)
    for top in range(0, image.height, rows):  # an index takes eight bytes per pixel
        pixels[top : top + rows] = table[values[top : top + rows]]
    return _Decoded(Image.fromarray(pixels), int(values.max()), False)


def _pixels(image: Image.Image, channels: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    if channels == 1:
        return np.array(image.convert("L"))[..., np.newaxis]
    return np.array(image.convert("RGB"))


def _fitted(image: Image.Image, height: int, width: int, resize: str, resample: str) -> Image.Image:
    old_width, old_height = image.size
    filter_ = FILTERS[resample]
    # Products of integers, so that a square stays exactly one.
    excess = old_width * height - old_height * width
    if excess == 0 or resize == "stretch":
        return image if image.size == (width, height) else image.resize((width, height), filter_)
    if resize == "crop":
        box_width = old_height * width / height if excess > 0 else old_width
        box_height = old_width * height / width if excess < 0 else old_height
        left, top = (old_width - box_width) / 2, (old_height - box_height) / 2
        return image.resize((width, height), filter_, box=(left, top, left + box_width, top + box_height))
    inner = (
        width if excess > 0 else max(1, round(old_width * height / old_height)),
        height if excess < 0 else max(1, round(old_height * width / old_width)),
    )
    padded = Image.new(image.mode, (width, height))
    padded.paste(image.resize(inner, filter_), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return padded


def _reason(error: BaseException, content: bytes) -> str:
    if not content:
        return "the file is empty"
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels"
    if isinstance(error, PIL.UnidentifiedImageError):
        kind, format_name = other_kind(content), format_of(content[:64])
        if kind is None and format_name is not None:
            return f"damaged or truncated {format_name} image"
        return "not an image" if kind is None else f"not an image: {kind}"
    text = str(error).split("\n")[0] if str(error) else type(error).__name__
    if "truncated" in text.lower():
        return "truncated: the file ends before its image does"
    return text if len(text) <= 100 else text[:97] + "..."
