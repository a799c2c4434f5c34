"""Image fingerprints for the audit: a digest of the decoded pixels, perceptual hashes, size, mode and format.

The perceptual hash has 256 bits. They say which of the 16 x 16 lowest frequencies in the discrete cosine transform of
the image, as 32 x 32 grey pixels, are above their median. This is pHash (Zauner, "Implementation and benchmarking of
perceptual image hash functions", 2010) with four times as many bits, because 64 bits cannot distinguish scans of the
same organ. Encoding an image again, resizing it or changing its brightness flips a few bits, and two unrelated images
differ in about 128.

In a soft image (blurred, out of focus, a few large shapes), most of these frequencies are weaker than the noise from
encoding and resizing, so their bits are random. Such an image has a second hash of 256 bits. It says on which side of
256 fixed hyperplanes the frequencies lie (Charikar, "Similarity estimation techniques from rounding algorithms", STOC
2002), weighted so that frequencies much weaker than one grey level hardly count. Two images are near duplicates if
they are close by either hash.

Neither hash finds copies that were cropped, rotated or mirrored, or that are so bright that much of the image is
white. Modified copies of nearly blank images (a plain gradient, a blank page, a few grey levels) are not found either,
because too many other images look the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.data.cache import cache_dir, disk_errors
from edgekit.data.dataset import Dataset
from edgekit.device.images import DECODER, ImageError, ImageTooLargeError, decode_rgb, read_header
from edgekit.device.pixel_range import PERCENTILE
from edgekit.device.runtimes import all_cores
from edgekit.documents.arrays import read_arrays
from edgekit.errors import InputError
from edgekit.support.files import atomic_path
from edgekit.support.progress import SILENT, Bar, Progress

HASH_BITS = 256
HASH_WORDS = HASH_BITS // 64
_NO_HASH = bytes(HASH_BITS // 8)

_VERSION = "audit-4"
_SIDE, _KEPT = 32, 16
PICTURE_SIDE = 48
"""Side of the small grey pictures that the nearest neighbour compares."""
_NO_PICTURE = np.zeros((PICTURE_SIDE, PICTURE_SIDE), dtype=np.uint8)
_AHEAD_IMAGES = 64

_GREY_LEVEL = 256.0
"""Strength of a wave of one grey level in :func:`frequencies`."""
_FAINT, _FAINT_FREQUENCIES = 0.16 * _GREY_LEVEL, 80
"""A weaker frequency may change its sign when the image is saved again; an image with this many of them is soft. With
this many, the first hash still finds copies, so no image falls between the two hashes."""
_LEAST_TOLD = 20.0
"""A soft image whose frequencies count for less than this is nearly blank and looks like too many others."""

Hashes = NDArray[np.uint64]
Columns = dict[str, Any]
"""Fingerprints as they are cached: the arrays of :class:`Fingerprints` and the reasons of corrupt images, by name."""


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """The fingerprints of N images, in the order of the dataset.

    ``pixels`` (N,) are SHA-256 hashes of the size and the RGB pixels, ``hashes`` (N, 4) the perceptual hashes, and
    ``soft`` (N, 4) the second hashes of soft images (zeros for all others). ``widths`` and ``heights`` (N,) are in
    pixels; ``modes`` and ``formats`` (N,) are the names that Pillow uses; ``grey`` (N, 48, 48) are small pictures.
    Images that cannot be decoded have empty entries, and ``corrupt`` has the reasons by path.
    """

    pixels: NDArray[np.str_]
    hashes: Hashes
    soft: Hashes
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]
    modes: NDArray[np.str_]
    formats: NDArray[np.str_]
    grey: NDArray[np.uint8]
    corrupt: dict[str, str]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(N,): whether the image could be decoded."""
        return np.asarray(self.pixels != "")


@dataclass(frozen=True)
class _Print:
    pixels: str
    bits: bytes
    soft: bytes
    width: int
    height: int
    mode: str
    format: str
    grey: NDArray[np.uint8]
    reason: str = ""
    lost: bool = False
    """Whether the file could not be read for a reason that says nothing about its content."""


def fingerprint(dataset: Dataset, progress: Progress = SILENT) -> Fingerprints:
    """Decode every image of the dataset at full size, in parallel, and compute its fingerprint.

    The result is cached by the content of the images, so unchanged images are decoded only once. An image that cannot
    be read or decoded is no error; ``corrupt`` lists it.
    """
    kept = _file(dataset)
    prints = _read(kept, len(dataset))
    if prints is None:
        with progress.bar("fingerprinting images", len(dataset)) as bar:
            prints, lost = _columns(_prints(dataset), len(dataset), bar)
        if not lost:
            _keep(kept, prints)
    reasons = prints.pop("reasons")
    corrupt = {file: str(reason) for file, reason in zip(dataset.files, reasons) if reason}
    return Fingerprints(**prints, corrupt=corrupt)


def frequencies(grey: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The (16, 16) lowest frequencies of grey pixels uint8 (32, 32), without the mean brightness."""
    transform = _cosines()
    low = transform @ grey.astype(np.float64) @ transform.T
    low[0, 0] = 0.0  # the mean brightness, whose sign is always the same
    # The frequencies of a flat image are rounding errors, which must not become bits.
    low[np.abs(low) < 1e-6] = 0.0
    return np.asarray(low)


def perceptual_hash(low: NDArray[np.float64]) -> bytes:
    """32 bytes that say which of the :func:`frequencies` are above their median."""
    middle = low.size // 2
    around = np.partition(low.ravel(), (middle - 1, middle))  # a fraction of the time of np.median
    return np.packbits(low.ravel() > (around[middle - 1] + around[middle]) / 2).tobytes()


def soft_hash(low: NDArray[np.float64]) -> bytes:
    """The second hash (32 bytes) of a soft image from its :func:`frequencies`; zeros if it is not soft, or is blank."""
    strength = low.ravel()
    if np.count_nonzero(np.abs(strength) < _FAINT) < _FAINT_FREQUENCIES:
        return _NO_HASH
    weighted = strength / np.hypot(strength, _GREY_LEVEL)  # -1 to 1
    if float(weighted @ weighted) < _LEAST_TOLD:
        return _NO_HASH
    return np.packbits(_directions() @ weighted > 0).tobytes()


@cache
def _directions() -> NDArray[np.float64]:
    """256 directions of -1 and 1, (256, 256). They never change, unlike the output of a random number generator."""
    rows = [hashlib.sha256(f"direction {i}".encode()).digest() for i in range(HASH_BITS)]
    bits = np.unpackbits(np.frombuffer(b"".join(rows), dtype=np.uint8)).reshape(HASH_BITS, _KEPT * _KEPT)
    return np.asarray(2.0 * bits - 1.0)


@cache
def _cosines() -> NDArray[np.float64]:
    """The lowest 16 rows of the DCT-II of 32 values, (16, 32), up to a factor per row."""
    rows, columns = np.arange(_KEPT)[:, None], np.arange(_SIDE)[None, :]
    return np.asarray(np.cos(np.pi * rows * (2 * columns + 1) / (2 * _SIDE)))


def _prints(dataset: Dataset) -> Iterator[_Print]:
    """In the order of the dataset. Threads suffice, because Pillow and hashlib release the interpreter lock."""
    paths = dataset.paths()
    cores = all_cores()
    with ThreadPoolExecutor(cores) as pool:
        for start in range(0, len(paths), _AHEAD_IMAGES * cores):
            # In portions, so that an interrupt does not have to wait for a million images.
            yield from pool.map(_print, paths[start : start + _AHEAD_IMAGES * cores])


def _print(path: Path) -> _Print:
    from PIL import Image

    try:
        content = path.read_bytes()
        image = decode_rgb(content)
        header = read_header(content)
    except ImageError as error:
        # The limit of the memory may be raised, so that says nothing about the content either.
        lost = isinstance(error, ImageTooLargeError)
        return _Print("", _NO_HASH, _NO_HASH, 0, 0, "", "", _NO_PICTURE, error.reason, lost=lost)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return _Print("", _NO_HASH, _NO_HASH, 0, 0, "", "", _NO_PICTURE, reason, lost=True)
    digest = hashlib.sha256(f"{image.width}x{image.height}/".encode())
    digest.update(image.tobytes())
    if header.bits > 8:  # 12-bit scans in 16-bit files would all be nearly black
        image = decode_rgb(content, PERCENTILE)
    grey = image.convert("L")
    low = frequencies(np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)))
    small = np.asarray(grey.resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0))
    return _Print(
        pixels=digest.hexdigest(),
        bits=perceptual_hash(low),
        soft=soft_hash(low),
        width=image.width,
        height=image.height,
        mode=header.mode,
        format=header.format,
        grey=small,
    )


def _columns(prints: Iterator[_Print], count: int, bar: Bar) -> tuple[Columns, bool]:
    """The prints as arrays, filled one by one, and whether a file could not be read at all."""
    columns: Columns = {
        "pixels": np.zeros(count, dtype="<U64"),
        "hashes": np.zeros((count, HASH_WORDS), dtype=np.uint64),
        "soft": np.zeros((count, HASH_WORDS), dtype=np.uint64),
        "widths": np.zeros(count, dtype=np.int32),
        "heights": np.zeros(count, dtype=np.int32),
        "grey": np.zeros((count, PICTURE_SIDE, PICTURE_SIDE), dtype=np.uint8),
    }
    modes, formats, reasons, lost = [], [], [], False
    for place, one in enumerate(prints):
        columns["pixels"][place] = one.pixels
        columns["hashes"][place] = np.frombuffer(one.bits, dtype=np.uint64)
        columns["soft"][place] = np.frombuffer(one.soft, dtype=np.uint64)
        columns["widths"][place], columns["heights"][place] = one.width, one.height
        columns["grey"][place] = one.grey
        modes.append(one.mode)
        formats.append(one.format)
        reasons.append(one.reason)
        lost = lost or one.lost
        bar.advance()
    texts = {"modes": modes, "formats": formats, "reasons": reasons}
    return columns | {name: np.array(values, dtype=str) for name, values in texts.items()}, lost


def _file(dataset: Dataset) -> Path:
    digest = hashlib.sha256(f"{_VERSION}/{DECODER}/{len(dataset)}\n".encode())
    digest.update("\n".join(dataset.sha256).encode())
    return cache_dir() / "fingerprints" / f"{digest.hexdigest()[:32]}.npz"


_SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "pixels": ("U", ()),
    "hashes": ("u", (HASH_WORDS,)),
    "soft": ("u", (HASH_WORDS,)),
    "widths": ("i", ()),
    "heights": ("i", ()),
    "modes": ("U", ()),
    "formats": ("U", ()),
    "grey": ("u", (PICTURE_SIDE, PICTURE_SIDE)),
    "reasons": ("U", ()),
}
"""Kind of NumPy type, and shape for one image, of every cached column."""


def _read(file: Path, count: int) -> Columns | None:
    try:
        columns = read_arrays(file, tuple(_SHAPES))
    except InputError:  # missing or damaged: it is only a cache
        return None
    fits = (columns[n].dtype.kind == kind and columns[n].shape == (count, *of) for n, (kind, of) in _SHAPES.items())
    return columns if all(fits) else None


def _keep(file: Path, columns: Columns) -> None:
    with disk_errors(file), atomic_path(file) as temporary:
        np.savez(temporary, **columns)
