"""Bringing an image to the size that a model takes."""

from typing import Any, Union

import numpy as np
from PIL import Image

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


def fitted_pixels(
    pixels: Any, size: Size, resize: str = "stretch", resample: str = BILINEAR, channels: int = 3
) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Resize a camera's pixels uint8 (H, W, 3), as :func:`load_image` does for files."""
    height, width = (size, size) if isinstance(size, int) else size
    return as_pixels(fitted(Image.fromarray(pixels), height, width, resize, resample), channels)


def as_pixels(image: Image.Image, channels: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """uint8 (H, W, channels): RGB, or grey for one channel."""
    if channels == 1:
        return np.array(image.convert("L"))[..., np.newaxis]
    return np.array(image.convert("RGB"))


def fitted(image: Image.Image, height: int, width: int, resize: str, resample: str) -> Image.Image:
    """``image`` in the given size; ``resize`` and ``resample`` as in :func:`edgekit.device.images.load_image`."""
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
