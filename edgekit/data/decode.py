"""Decodes every image once: a dataset becomes one memory-mapped uint8 file in the cache, keyed by its content."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field

from edgekit.data.cache import PARTIAL, cache_dir, cache_lock, disk_errors, need_space
from edgekit.data.dataset import Dataset
from edgekit.data.decoded_file import DecodedFacts, Mapped, PixelFile, PixelWriter
from edgekit.data.hashes import forget_hashes
from edgekit.data.loading import without_corrupt
from edgekit.data.pixel_range import AUTO, DeepImages, resolved
from edgekit.data.reasons import listing
from edgekit.data.sealed import SealedDocument
from edgekit.device.images import DECODER, ImageError, ImageTooLargeError, LoadedImage, limit_mb, load_with_peak
from edgekit.device.pixel_range import FULL
from edgekit.device.runtimes import all_cores
from edgekit.errors import InputError
from edgekit.support.progress import SILENT, Progress

_CHUNK_IMAGES = 16


@dataclass(frozen=True)
class _Form:
    """What the pixels in a cache file depend on, apart from the images."""

    image_size: int
    resize: str
    pixel_range: str

    @property
    def image_bytes(self) -> int:
        return self.image_size * self.image_size * 3

    def file(self, contents: Sequence[str]) -> PixelFile:
        form = f"{DECODER}/{self.image_size}/{self.resize}/{self.pixel_range}/{len(contents)}"
        digest = hashlib.sha256(f"{form}\n".encode())
        digest.update("\n".join(contents).encode())
        shape = (len(contents), self.image_size, self.image_size, 3)
        return PixelFile(cache_dir() / "decoded" / f"{digest.hexdigest()[:32]}.u8", shape)


def decode_dataset(
    dataset: Dataset,
    image_size: int,
    resize: str = "stretch",
    on_corrupt: str = "stop",
    progress: Progress = SILENT,
) -> tuple[Dataset, Mapped]:
    """Decode the images to RGB pixels, read-only uint8 (N, image_size, image_size, 3), in the order of the dataset.

    The first call decodes in parallel and writes a file to the cache. Later calls with the same images, even from
    another folder, decode nothing, but compare the file with its checksums; a damaged file is written again. The
    ``pixel_range`` of the returned dataset is the one that was used, also where that of the given one is ``"auto"``.
    For images that cannot be decoded, ``on_corrupt="stop"`` raises :class:`InputError` with a list of them, and
    ``"skip"`` warns and returns a dataset without them. Raises :class:`EdgekitError` if the disk is full. After an
    error or an interrupt, no partial file remains.
    """
    requested = dataset.pixel_range
    form = _Form(image_size, resize, FULL if requested == AUTO else requested)
    corrupt, facts, pixels = _decoded_file(dataset, form, progress)
    deep = DeepImages(facts.deep, facts.deep_colour, facts.peak)
    note = deep.note(requested)
    if note is not None:
        progress.warn(note)
    used = resolved(requested, deep)
    if used != form.pixel_range:
        form = replace(form, pixel_range=used)
        corrupt, _, pixels = _decoded_file(dataset, form, progress)
    dataset = replace(dataset, pixel_range=used)
    return without_corrupt(dataset, corrupt, on_corrupt, progress), pixels


def _decoded_file(dataset: Dataset, form: _Form, progress: Progress) -> tuple[dict[str, str], DecodedFacts, Mapped]:
    """The reasons of corrupt images by path, what is known about the others, and their pixels."""
    corrupt = _known_corrupt(dataset)
    found = form.file(_good(dataset, corrupt)).read(progress)
    if found is None:
        with cache_lock(progress):
            corrupt = _known_corrupt(dataset)
            found = form.file(_good(dataset, corrupt)).read()  # another process may have been faster
            if found is None:
                corrupt = _fill(dataset, form, corrupt, progress)
                found = form.file(_good(dataset, corrupt)).read()
    if found is None:
        raise InputError(
            f"none of the {len(dataset)} images can be decoded:\n{listing(corrupt)}",
            where=str(dataset.root),
            hint="check that this is the right folder",
        )
    return corrupt, *found


def _good(dataset: Dataset, corrupt: dict[str, str]) -> list[str]:
    return [content for file, content in zip(dataset.files, dataset.sha256) if file not in corrupt]


def _fill(dataset: Dataset, form: _Form, corrupt: dict[str, str], progress: Progress) -> dict[str, str]:
    """Decode all images except known corrupt ones into the cache; returns the reasons of all corrupt ones, by path.

    Corrupt images are remembered by their content. The next time, the key of the cache file, which depends only on
    good images, is therefore known before anything is decoded.
    """
    todo = [(file, content) for file, content in zip(dataset.files, dataset.sha256) if file not in corrupt]
    corrupt = dict(corrupt)
    lasting: dict[str, str] = {}
    folder = cache_dir() / "decoded"
    started = time.perf_counter()
    peaks: list[tuple[int, bool]] = []
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"new{PARTIAL}"
        partial.unlink(missing_ok=True)  # left by a killed process; this process holds the lock
        need_space(folder, len(todo) * form.image_bytes)
        content_of = dict(todo)
        try:
            with PixelWriter(partial) as writer, progress.bar("decoding images", len(todo)) as bar:
                done = 0
                for files, results in _decoded(dataset.root, todo, form):
                    for file, result in zip(files, results):
                        if isinstance(result, ImageError):
                            corrupt[file] = result.reason
                            if not isinstance(result, ImageTooLargeError):
                                lasting[content_of[file]] = result.reason
                        else:
                            writer.write(result.pixels)
                            if result.peak is not None:
                                peaks.append((result.peak, result.is_deep_colour))
                    done += len(files)
                    bar.advance(len(files))
                    bar.note(f"{done / (time.perf_counter() - started):,.0f} images/s")
            reasons = {content_of[file]: reason for file, reason in corrupt.items() if file in content_of}
            _remember_corrupt(lasting, {content: reasons[content] for content in reasons if content not in lasting})
            good = _good(dataset, corrupt)
            if good:
                deep = DeepImages.of(peaks)
                facts = DecodedFacts(
                    checksums=tuple(writer.checksums), deep=deep.count, deep_colour=deep.colour, peak=deep.peak
                )
                form.file(good).keep(partial, facts)
        finally:
            partial.unlink(missing_ok=True)
    seconds = time.perf_counter() - started
    progress.info(
        f"decoded {len(todo):,} images in {seconds:.1f} s ({len(todo) / seconds:,.0f} images/s); "
        f"{len(good) * form.image_bytes / 1e6:,.0f} MB cached in {form.file(good).path}"
    )
    return corrupt


def _decoded(
    root: Path, todo: list[tuple[str, str]], form: _Form
) -> Iterator[tuple[list[str], list[LoadedImage | ImageError]]]:
    """Decode (path, content hash) pairs in parallel and in order, only a few chunks ahead of the reader.

    Pillow releases the interpreter lock, so threads are used. On two cores they were about twice as fast as processes,
    which have to send every image through a pipe.
    """
    workers = all_cores()
    chunks = [todo[i : i + _CHUNK_IMAGES] for i in range(0, len(todo), _CHUNK_IMAGES)]
    pending: deque[tuple[list[str], Future[list[LoadedImage | ImageError]]]] = deque()
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


def _decode_chunk(root: Path, chunk: list[tuple[str, str]], form: _Form) -> list[LoadedImage | ImageError]:
    return [_decode_file(root, root / file, content, form) for file, content in chunk]


def _decode_file(root: Path, path: Path, content: str, form: _Form) -> LoadedImage | ImageError:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"this image can no longer be read: {error.strerror}", where=str(path)) from error
    # The cache is keyed by content hash, so the hash has to be that of the bytes that are decoded.
    if hashlib.sha256(data).hexdigest() != content:
        forget_hashes(root)  # if the file is as it was, what was known about it is wrong
        raise InputError("this image changed while it was being read", where=str(path), hint="rerun this command")
    try:
        return load_with_peak(data, form.image_size, form.resize, form.pixel_range)
    except ImageError as error:
        return error


def _corrupt_file() -> Path:
    return cache_dir() / "corrupt.json"


def _known_corrupt(dataset: Dataset) -> dict[str, str]:
    """The reasons of images that are known to be corrupt, by path."""
    known = _read_corrupt()
    reasons = {**known.images, **known.too_large}
    return {file: reasons[content] for file, content in zip(dataset.files, dataset.sha256) if content in reasons}


class _CorruptImages(SealedDocument):
    """``corrupt.json`` in the cache: reasons why images cannot be decoded, by SHA-256 of their content."""

    decoder: str
    images: dict[str, str]
    limit_mb: int = 0
    """The limit of the memory for one image, when :attr:`too_large` was found."""
    too_large: dict[str, str] = Field(default_factory=dict)


def _read_corrupt() -> _CorruptImages:
    """What is known, which is nothing if the file is missing, damaged or of another version: it is only a cache."""
    nothing = _CorruptImages(decoder=DECODER, images={}, limit_mb=limit_mb())
    try:
        with disk_errors(_corrupt_file()):
            document = _CorruptImages.read(_corrupt_file())
    except InputError:
        return nothing
    if document.decoder != DECODER or not document.is_sound():
        return nothing
    if document.limit_mb != limit_mb():
        return document.model_copy(update={"limit_mb": limit_mb(), "too_large": {}})
    return document


def _remember_corrupt(reasons: dict[str, str], too_large: dict[str, str]) -> None:
    if reasons or too_large:
        known = _read_corrupt()
        more = {"images": {**known.images, **reasons}, "too_large": {**known.too_large, **too_large}}
        known.model_copy(update=more).seal().write(_corrupt_file())
