"""Thumbnails of the images that an audit refers to."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from edgekit.device.images import decode_rgb
from edgekit.device.pixel_range import PERCENTILE
from edgekit.support.files import write_bytes

SIDE = 112
"""Largest side of a thumbnail in pixels."""


def write_thumbnails(paths: Sequence[Path], folder: Path) -> list[str]:
    """Write a JPEG thumbnail of each image to ``folder``; returns the file names in the same order."""
    names = []
    for number, path in enumerate(paths, 1):
        image = decode_rgb(path, PERCENTILE)  # a 12-bit scan would be nearly black
        image.thumbnail((SIDE, SIDE))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=80)
        name = f"{number:03}.jpg"
        write_bytes(folder / name, stream.getvalue())
        names.append(name)
    return names
