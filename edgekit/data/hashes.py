"""Content hashes of files; a manifest in the cache keeps them, so that an unchanged file is read once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgekit.data.cache import cache_dir, disk_errors
from edgekit.documents.base import read_json, write_json
from edgekit.errors import InputError
from edgekit.support.files import sha256_file
from edgekit.support.progress import SILENT, Progress

_Entry = list[object]  # [size in bytes, mtime in ns, SHA-256 in hex]


def hash_files(root: Path, paths: Sequence[str], progress: Progress = SILENT) -> tuple[dict[str, str], dict[str, str]]:
    """SHA-256 of each file below ``root``: ``(hashes, unreadable)``, path -> hex and path -> reason.

    A file whose size and modification time are as in the manifest is not read again.
    """
    manifest = cache_dir() / "hashes" / f"{hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:32]}.json"
    known = _read(manifest)
    entries: dict[str, _Entry] = {}
    unreadable: dict[str, str] = {}
    to_read: list[tuple[str, _Entry]] = []
    for path in paths:
        try:
            status = (root / path).stat()
        except OSError as error:
            unreadable[path] = (error.strerror or str(error)).lower()
            continue
        before = known.get(path)
        if before is not None and before[:2] == [status.st_size, status.st_mtime_ns]:
            entries[path] = before
        else:
            to_read.append((path, [status.st_size, status.st_mtime_ns]))
    if to_read:
        _read_files(root, to_read, entries, unreadable, progress)
    if entries != known:
        with disk_errors(manifest):
            write_json(manifest, {"root": os.fsencode(root).decode("utf-8", "replace"), "files": entries})
    return {path: str(entry[2]) for path, entry in entries.items()}, unreadable


def _read_files(
    root: Path,
    to_read: list[tuple[str, _Entry]],
    entries: dict[str, _Entry],
    unreadable: dict[str, str],
    progress: Progress,
) -> None:
    def digest(path: str) -> str | OSError:
        try:
            return sha256_file(root / path)
        except OSError as error:
            return error

    with ThreadPoolExecutor() as pool, progress.bar("reading images", len(to_read)) as bar:
        results = pool.map(digest, [path for path, _ in to_read])
        for (path, stamp), result in zip(to_read, results):
            if isinstance(result, OSError):
                unreadable[path] = (result.strerror or str(result)).lower()
            else:
                entries[path] = [*stamp, result]
            bar.advance()


def _read(manifest: Path) -> dict[str, _Entry]:
    try:
        with disk_errors(manifest):
            files = read_json(manifest).get("files", {})
    except InputError:  # absent, damaged or of a newer version: it is only a cache
        return {}
    return dict(files)
