"""What the audit knows of every image: a digest of its decoded pixels, a perceptual hash, its size and mode.

The perceptual hash has 256 bits: which of the 16 x 16 lowest frequencies of the discrete cosine transform of the image
as 32 x 32 grey pixels lie above their median. That is the idea of pHash (Zauner, "Implementation and benchmarking of
perceptual image hash functions", 2010) with four times its 64 bits, because scans of one organ look too much alike for
64. Encoding again, another size and another brightness change a few bits; two unrelated images differ in about 128.

Of a soft picture (blurred, out of focus, a few large shapes) most of those frequencies are weaker than what encoding
and resizing add, and their bits are noise. Such an image has a second hash of 256 bits, in which a frequency counts the
less, the weaker it is beside one level of grey: on which side of 256 fixed hyperplanes the weighted frequencies lie
(Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002). Two images are near when either
hash says so.

What neither sees: a copy that was cropped, turned or mirrored, or so brightened that much of it is white; and changed
copies of pictures with next to nothing in them (a plain gradient, a blank page, contrast of a few grey levels), which
are near nothing, because too many others look just like them.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
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
from edgekit.device.images import DECODER, ImageError, decode_rgb, read_header
from edgekit.support.files import atomic_path
from edgekit.support.progress import SILENT, Progress

HASH_BITS = 256
HASH_WORDS = HASH_BITS // 64
_NO_HASH = bytes(HASH_BITS // 8)

_VERSION = "audit-2"
_SIDE, _KEPT = 32, 16
_AHEAD_IMAGES = 64

_GREY_LEVEL = 256.0
"""What a wave of one grey level has in :func:`frequencies`."""
_FAINT, _FAINT_FREQUENCIES = 0.16 * _GREY_LEVEL, 80
"""Frequencies weaker than this may turn their sign when the image is saved again; with so many of them it is soft. With
that many the first hash still finds copies, so that no image falls between the two."""
_LEAST_TOLD = 20.0
"""A soft image with fewer frequencies that count looks like too many others."""

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Of N images, in the dataset's order; those that cannot be decoded have empty entries and stand in ``corrupt``.

    ``pixels`` are SHA-256 in hex of size and RGB pixels, ``hashes`` uint64 ``(N, 4)``, ``soft`` likewise the second
    hash of soft images (all zeros for others), ``widths`` and ``heights`` in
    pixels, ``modes`` and ``formats`` as Pillow names them. ``corrupt`` maps a path to the reason.
    """

    pixels: NDArray[np.str_]
    hashes: Hashes
    soft: Hashes
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]
    modes: NDArray[np.str_]
    formats: NDArray[np.str_]
    corrupt: dict[str, str]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(N,), true where the image could be decoded."""
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
    reason: str = ""
    lost: bool = False
    """The file could not be read at all, which says nothing about its content."""


def fingerprint(dataset: Dataset, progress: Progress = SILENT) -> Fingerprints:
    """Decode every image of the dataset at its full size, in parallel, and take its fingerprint.

    The outcome is kept in the cache by the content of the images: unchanged images are decoded once. Raises nothing
    for an image that cannot be read or decoded; it is listed.
    """
    kept = _file(dataset)
    prints = _read(kept, len(dataset))
    if prints is None:
        with progress.bar("fingerprinting images", len(dataset)) as bar:
            found = []
            for one in _prints(dataset):
                found.append(one)
                bar.advance()
        prints = _columns(found)
        if not any(one.lost for one in found):
            _keep(kept, prints)
    reasons = prints.pop("reasons")
    corrupt = {file: str(reason) for file, reason in zip(dataset.files, reasons) if reason}
    return Fingerprints(**prints, corrupt=corrupt)


def frequencies(grey: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The 16 x 16 lowest frequencies of an image as grey pixels uint8 (32, 32); the brightness is 0."""
    transform = _cosines()
    low = transform @ grey.astype(np.float64) @ transform.T
    low[0, 0] = 0.0  # the brightness; its sign is always the same
    # A flat image has rounding errors for frequencies; they must not become bits.
    low[np.abs(low) < 1e-6] = 0.0
    return np.asarray(low)


def perceptual_hash(low: NDArray[np.float64]) -> bytes:
    """32 bytes: which of the :func:`frequencies` lie above their median."""
    return np.packbits(low.ravel() > np.median(low)).tobytes()


def soft_hash(low: NDArray[np.float64]) -> bytes:
    """32 bytes of the second hash of a soft image, from its :func:`frequencies`; zeros for other and for blank ones."""
    strength = low.ravel()
    weighted = strength / np.hypot(strength, _GREY_LEVEL)  # -1 to 1
    is_soft = np.count_nonzero(np.abs(strength) < _FAINT) >= _FAINT_FREQUENCIES
    if not is_soft or float(weighted @ weighted) < _LEAST_TOLD:
        return _NO_HASH
    return np.packbits(_directions() @ weighted > 0).tobytes()


@cache
def _directions() -> NDArray[np.float64]:
    """256 directions of -1 and 1, (256, 256), the same for ever: a generator of random numbers may change."""
    rows = [hashlib.sha256(f"direction {i}".encode()).digest() for i in range(HASH_BITS)]
    bits = np.unpackbits(np.frombuffer(b"".join(rows), dtype=np.uint8)).reshape(HASH_BITS, _KEPT * _KEPT)
    return np.asarray(2.0 * bits - 1.0)


@cache
def _cosines() -> NDArray[np.float64]:
    """The 16 lowest rows of the DCT-II of 32 values, (16, 32), up to a factor per row."""
    rows, columns = np.arange(_KEPT)[:, None], np.arange(_SIDE)[None, :]
    return np.asarray(np.cos(np.pi * rows * (2 * columns + 1) / (2 * _SIDE)))


def _prints(dataset: Dataset) -> Iterator[_Print]:
    """In the dataset's order. Threads: Pillow and hashlib release the interpreter lock."""
    paths = dataset.paths()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        for start in range(0, len(paths), _AHEAD_IMAGES * cores):
            # In portions, so that an interrupt does not wait for a million images.
            yield from pool.map(_print, paths[start : start + _AHEAD_IMAGES * cores])


def _print(path: Path) -> _Print:
    from PIL import Image

    try:
        content = path.read_bytes()
        image = decode_rgb(content)
        header = read_header(content)
    except ImageError as error:
        return _Print("", _NO_HASH, _NO_HASH, 0, 0, "", "", error.reason)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return _Print("", _NO_HASH, _NO_HASH, 0, 0, "", "", reason, lost=True)
    digest = hashlib.sha256(f"{image.width}x{image.height}/".encode())
    digest.update(image.tobytes())
    grey = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)
    low = frequencies(np.asarray(grey))
    return _Print(
        digest.hexdigest(), perceptual_hash(low), soft_hash(low), image.width, image.height, header.mode, header.format
    )


def _columns(prints: list[_Print]) -> dict[str, Any]:
    return {
        "pixels": np.array([p.pixels for p in prints], dtype="<U64"),
        "hashes": _words([p.bits for p in prints]),
        "soft": _words([p.soft for p in prints]),
        "widths": np.array([p.width for p in prints], dtype=np.int32),
        "heights": np.array([p.height for p in prints], dtype=np.int32),
        "modes": np.array([p.mode for p in prints], dtype=str),
        "formats": np.array([p.format for p in prints], dtype=str),
        "reasons": np.array([p.reason for p in prints], dtype=str),
    }


def _words(hashes: list[bytes]) -> Hashes:
    return np.array(np.frombuffer(b"".join(hashes), dtype=np.uint64).reshape(-1, HASH_WORDS))


def _file(dataset: Dataset) -> Path:
    digest = hashlib.sha256(f"{_VERSION}/{DECODER}/{len(dataset)}\n".encode())
    digest.update("\n".join(dataset.sha256).encode())
    return cache_dir() / "fingerprints" / f"{digest.hexdigest()[:32]}.npz"


def _read(file: Path, count: int) -> dict[str, Any] | None:
    try:
        with np.load(file) as stored:
            columns = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):  # absent or damaged: it is only a cache
        return None
    return columns if len(columns.get("reasons", ())) == count else None


def _keep(file: Path, columns: dict[str, Any]) -> None:
    with disk_errors(file), atomic_path(file) as temporary:
        np.savez(temporary, **columns)
