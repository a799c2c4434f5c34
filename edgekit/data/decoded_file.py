"""The file of decoded images in the cache, with checksums beside it: a damaged file is found before it is used."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edgekit.data.sealed import SealedDocument
from edgekit.errors import InputError
from edgekit.support.files import flush_to_disk
from edgekit.support.progress import SILENT, Progress

CHECKED_BYTES = 500_000_000
"""About how much of a file is compared with its checksums when it is opened, which takes less than a second."""

Mapped = np.memmap[tuple[int, ...], np.dtype[np.uint8]]


class DecodedFacts(SealedDocument):
    """``<key>.json`` beside the pixels ``<key>.u8``."""

    checksums: tuple[int, ...]
    """CRC-32 of the pixels of each image."""
    deep: int
    """Number of images with more than 8 bits."""
    deep_colour: int
    """How many of them are in colour."""
    peak: int
    """Their largest value (0 to 65535)."""


class PixelWriter:
    """Writes images one after the other into ``path``. At the end of the block, they are on the disk."""

    def __init__(self, path: Path) -> None:
        self.checksums: list[int] = []
        self._path = path

    def __enter__(self) -> PixelWriter:
        self._stream = self._path.open("wb")
        return self

    def write(self, pixels: NDArray[np.uint8]) -> None:
        """Append the pixels (H, W, 3) of one image."""
        data = np.ascontiguousarray(pixels).data
        self._stream.write(data)
        self.checksums.append(zlib.crc32(data))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._stream.flush()
                os.fsync(self._stream.fileno())
        finally:
            self._stream.close()


@dataclass(frozen=True)
class PixelFile:
    """The pixels of N images of one form, ``shape`` (N, H, W, 3), in a file that is named after its content."""

    path: Path
    shape: tuple[int, int, int, int]

    @property
    def _facts(self) -> Path:
        return self.path.with_suffix(".json")

    def keep(self, partial: Path, facts: DecodedFacts) -> None:
        """Give a complete file its name. It counts only with its facts, and both are on the disk."""
        facts.seal().write(self._facts)
        partial.replace(self.path)
        flush_to_disk(self.path.parent)

    def read(self, progress: Progress = SILENT) -> tuple[DecodedFacts, Mapped] | None:
        """The facts and the pixels, or None if they are not in the cache, not complete or damaged."""
        n = self.shape[0]
        size = int(np.prod(self.shape))
        if not n or not self.path.is_file() or self.path.stat().st_size != size:
            return None
        try:
            facts = DecodedFacts.read(self._facts)
        except (InputError, OSError):
            return None
        pixels = np.memmap(self.path, dtype=np.uint8, mode="r", shape=self.shape)
        if not facts.is_sound() or len(facts.checksums) != n or not _are_same(pixels, facts.checksums):
            progress.info(f"the decoded images in {self.path} are damaged, so they are decoded again")
            return None
        return facts, pixels


def _are_same(pixels: Mapped, checksums: tuple[int, ...]) -> bool:
    """Whether the images have their checksums: all of them, or of a large file a sample, spread evenly."""
    n = len(checksums)
    step = max(1, pixels.nbytes // CHECKED_BYTES)
    start = int.from_bytes(os.urandom(4), "little") % step
    chosen = sorted({0, n - 1, *range(start, n, step)})
    return all(zlib.crc32(pixels[i].data) == checksums[i] for i in chosen)
