"""Content hashes of files. A manifest in the cache stores them, so that an unchanged file is read only once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from edgekit.data.cache import cache_dir, disk_errors
from edgekit.data.sealed import SealedDocument
from edgekit.errors import InputError
from edgekit.support.files import sha256_file
from edgekit.support.progress import SILENT, Progress


class _FileHash(NamedTuple):
    """The hash of a file as it was when it was read."""

    size_bytes: int
    modified_ns: int
    sha256: str


class _Manifest(SealedDocument):
    """The hashes of all files of one folder, by their path below it."""

    root: str
    files: dict[str, _FileHash]


def hash_files(root: Path, paths: Sequence[str], progress: Progress = SILENT) -> tuple[dict[str, str], dict[str, str]]:
    """SHA-256 of each file below ``root`` by its path, and reasons why some files cannot be read, by theirs.

    A file with the size and modification time of the manifest is not read again.
    """
    manifest = _manifest(root)
    known = _read(manifest)
    entries: dict[str, _FileHash] = {}
    unreadable: dict[str, str] = {}
    to_read: list[tuple[str, int, int]] = []
    folder = str(root)
    for path in paths:
        try:
            status = os.stat(f"{folder}/{path}")  # noqa: PTH116 - a third of the time of Path.stat
        except OSError as error:
            unreadable[path] = (error.strerror or str(error)).lower()
            continue
        before = known.get(path)
        if before is not None and before[:2] == (status.st_size, status.st_mtime_ns):
            entries[path] = before
        else:
            to_read.append((path, status.st_size, status.st_mtime_ns))
    if to_read:
        _read_files(root, to_read, entries, unreadable, progress)
    if entries != known:
        with disk_errors(manifest):
            _Manifest(root=os.fsencode(root).decode("utf-8", "replace"), files=entries).seal().write(manifest)
    return {path: entry.sha256 for path, entry in entries.items()}, unreadable


def forget_hashes(root: Path) -> None:
    """Read all files below ``root`` again the next time."""
    with suppress(OSError):
        _manifest(root).unlink(missing_ok=True)


def _manifest(root: Path) -> Path:
    return cache_dir() / "hashes" / f"{hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:32]}.json"


def _read_files(
    root: Path,
    to_read: list[tuple[str, int, int]],
    entries: dict[str, _FileHash],
    unreadable: dict[str, str],
    progress: Progress,
) -> None:
    def digest(path: str) -> str | OSError:
        try:
            return sha256_file(root / path)
        except OSError as error:
            return error

    with ThreadPoolExecutor() as pool, progress.bar("reading images", len(to_read)) as bar:
        results = pool.map(digest, [path for path, _, _ in to_read])
        for (path, size_bytes, modified_ns), result in zip(to_read, results):
            if isinstance(result, OSError):
                unreadable[path] = (result.strerror or str(result)).lower()
            else:
                entries[path] = _FileHash(size_bytes, modified_ns, result)
            bar.advance()


def _read(manifest: Path) -> dict[str, _FileHash]:
    try:
        with disk_errors(manifest):
            document = _Manifest.read(manifest)
    except InputError:  # missing, damaged or of a newer version: it is only a cache
        return {}
    return document.files if document.is_sound() else {}
