"""Small pictures of images, for people to see what an audit means."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from edgekit.device.images import decode_rgb
from edgekit.support.files import write_bytes

SIDE = 112


def write_thumbnails(paths: Sequence[Path], folder: Path) -> list[str]:
    """A JPEG of at most 112 x 112 pixels for each image; their names below ``folder``, in the order given."""
    names = []
    for number, path in enumerate(paths, 1):
        image = decode_rgb(path)
        image.thumbnail((SIDE, SIDE))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=80)
        name = f"{number:03}.jpg"
        write_bytes(folder / name, stream.getvalue())
        names.append(name)
    return names
