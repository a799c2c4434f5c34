"""Decodes every image once: a dataset becomes one memory-mapped uint8 file in the cache, keyed by its content."""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.data.cache import PARTIAL, cache_dir, cache_lock, disk_errors, need_space
from edgekit.data.dataset import Dataset
from edgekit.data.loading import without_corrupt
from edgekit.device.images import DECODER, ImageError, load_image
from edgekit.documents.base import Document
from edgekit.errors import InputError
from edgekit.support.progress import SILENT, Progress

Pixels = NDArray[np.uint8]

_CHUNK_IMAGES = 16


@dataclass(frozen=True)
class _Form:
    """What the pixels in a cache file depend on, apart from the images."""

    image_size: int
    resize: str

    @property
    def image_bytes(self) -> int:
        return self.image_size * self.image_size * 3

    def file(self, contents: Sequence[str]) -> Path:
        digest = hashlib.sha256(f"{DECODER}/{self.image_size}/{self.resize}/{len(contents)}\n".encode())
        digest.update("\n".join(contents).encode())
        return cache_dir() / "decoded" / f"{digest.hexdigest()[:32]}.u8"

    def read(self, contents: Sequence[str]) -> np.memmap[tuple[int, ...], np.dtype[np.uint8]] | None:
        """The decoded images, or ``None`` if they are not in the cache, or not complete."""
        file = self.file(contents)
        if not contents or not file.is_file() or file.stat().st_size != len(contents) * self.image_bytes:
            return None
        shape = (len(contents), self.image_size, self.image_size, 3)
        return np.memmap(file, dtype=np.uint8, mode="r", shape=shape)


def decode_dataset(
    dataset: Dataset,
    image_size: int,
    resize: str = "stretch",
    on_corrupt: str = "stop",
    progress: Progress = SILENT,
) -> tuple[Dataset, np.memmap[tuple[int, ...], np.dtype[np.uint8]]]:
    """Decode the images to RGB pixels, read-only uint8 (N, image_size, image_size, 3), in the order of the dataset.

    The first call decodes in parallel and writes a file to the cache. Later calls with the same images, even from
    another folder, decode nothing. For images that cannot be decoded, ``on_corrupt="stop"`` raises
    :class:`InputError` with a list of them, and ``"skip"`` warns and returns a dataset without them. Raises
    :class:`EdgekitError` if the disk is full. After an error or an interrupt, no partial file remains.
    """
    form = _Form(image_size, resize)
    corrupt = _known_corrupt(dataset)
    pixels = form.read(_good(dataset, corrupt))
    if pixels is None:
        with cache_lock(progress):
            corrupt = _known_corrupt(dataset)
            pixels = form.read(_good(dataset, corrupt))  # another process may have been faster
            if pixels is None:
                corrupt = _fill(dataset, form, corrupt, progress)
                pixels = form.read(_good(dataset, corrupt))
    if pixels is None:
        raise InputError(
            f"none of the {len(dataset)} images can be decoded",
            where=str(dataset.root),
            hint="check that this is the right folder",
        )
    return without_corrupt(dataset, corrupt, on_corrupt, progress), pixels


def _good(dataset: Dataset, corrupt: dict[str, str]) -> list[str]:
    return [content for file, content in zip(dataset.files, dataset.sha256) if file not in corrupt]


def _fill(dataset: Dataset, form: _Form, corrupt: dict[str, str], progress: Progress) -> dict[str, str]:
    """Decode all images except known corrupt ones into the cache; returns the reasons of all corrupt ones, by path.

    Corrupt images are remembered by their content. The next time, the key of the cache file, which depends only on
    good images, is therefore known before anything is decoded.
    """
    todo = [(file, content) for file, content in zip(dataset.files, dataset.sha256) if file not in corrupt]
    corrupt = dict(corrupt)
    folder = cache_dir() / "decoded"
    started = time.perf_counter()
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"new{PARTIAL}"
        partial.unlink(missing_ok=True)  # left by a killed process; this process holds the lock
        need_space(folder, len(todo) * form.image_bytes)
        try:
            with partial.open("wb") as stream, progress.bar("decoding images", len(todo)) as bar:
                done = 0
                for files, results in _decoded(dataset.root, todo, form):
                    for file, result in zip(files, results):
                        if isinstance(result, ImageError):
                            corrupt[file] = result.reason
                        else:
                            stream.write(result.data)
                    done += len(files)
                    bar.advance(len(files))
                    bar.note(f"{done / (time.perf_counter() - started):,.0f} images/s")
            content_of = dict(todo)
            _remember_corrupt({content_of[file]: reason for file, reason in corrupt.items() if file in content_of})
            good = _good(dataset, corrupt)
            if good:
                partial.replace(form.file(good))
        finally:
            partial.unlink(missing_ok=True)
    seconds = time.perf_counter() - started
    progress.info(
        f"decoded {len(todo):,} images in {seconds:.1f} s ({len(todo) / seconds:,.0f} images/s); "
        f"{len(good) * form.image_bytes / 1e6:,.0f} MB cached in {form.file(good)}"
    )
    return corrupt


def _decoded(
    root: Path, todo: list[tuple[str, str]], form: _Form
) -> Iterator[tuple[list[str], list[Pixels | ImageError]]]:
    """Decode (path, content hash) pairs in parallel and in order, only a few chunks ahead of the reader.

    Pillow releases the interpreter lock, so threads are used. On two cores they were about twice as fast as processes,
    which have to send every image through a pipe.
    """
    workers = _cores()
    chunks = [todo[i : i + _CHUNK_IMAGES] for i in range(0, len(todo), _CHUNK_IMAGES)]
    pending: deque[tuple[list[str], Future[list[Pixels | ImageError]]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for chunk in chunks:
            pending.append(([file for file, _ in chunk], pool.submit(_decode_chunk, root, chunk, form)))
            if len(pending) > 2 * workers:
                files, future = pending.popleft()
                yield files, future.result()
        for files, future in pending:
            yield files, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_chunk(root: Path, chunk: list[tuple[str, str]], form: _Form) -> list[Pixels | ImageError]:
    return [_decode_file(root / file, content, form) for file, content in chunk]


def _decode_file(path: Path, content: str, form: _Form) -> Pixels | ImageError:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"this image can no longer be read: {error.strerror}", where=str(path)) from error
    # The cache is keyed by content hash, so the hash has to be that of the bytes that are decoded.
    if hashlib.sha256(data).hexdigest() != content:
        raise InputError("this image changed while it was being read", where=str(path), hint="rerun this command")
    try:
        return load_image(data, form.image_size, form.resize)
    except ImageError as error:
        return error


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _corrupt_file() -> Path:
    return cache_dir() / "corrupt.json"


def _known_corrupt(dataset: Dataset) -> dict[str, str]:
    """The reasons of images that are known to be corrupt, by path."""
    reasons = _read_corrupt()
    return {file: reasons[content] for file, content in zip(dataset.files, dataset.sha256) if content in reasons}


class _CorruptImages(Document):
    """``corrupt.json`` in the cache: reasons why images cannot be decoded, by SHA-256 of their content."""

    decoder: str
    images: dict[str, str]


def _read_corrupt() -> dict[str, str]:
    try:
        with disk_errors(_corrupt_file()):
            document = _CorruptImages.read(_corrupt_file())
    except InputError:  # missing, damaged or of a newer version: it is only a cache
        return {}
    return document.images if document.decoder == DECODER else {}


def _remember_corrupt(reasons: dict[str, str]) -> None:
    if reasons:
        _CorruptImages(decoder=DECODER, images={**_read_corrupt(), **reasons}).write(_corrupt_file())
