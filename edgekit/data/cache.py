"""The cache directory: where it is, how large it is, how to clear it, and a lock for its writers."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.support.files import TEMPORARY
from edgekit.support.paths import expanded, user_cache_folder
from edgekit.support.progress import SILENT, Progress

PARTIAL = ".partial"
"""Suffix of a folder that is being written. Only the holder of the lock creates or removes one."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OWN = {
    "decoded": re.compile(r"[0-9a-f]{32}\.(u8|json)|new\.partial"),
    "datasets": re.compile(r"digits-[0-9]+(\.partial)?"),
    "hashes": re.compile(r"[0-9a-f]{32}\.json"),
    "fingerprints": re.compile(r"[0-9a-f]{32}\.npz"),
    "web": re.compile(r"onnxruntime-web-[0-9.]+"),
    "compiled": re.compile(r"jax-[0-9a-f]{16}"),
    "": re.compile(r"corrupt\.json"),
}
"""Names of the files that edgekit writes, by subfolder. A cache directory that a user chose may contain others."""


def cache_dir() -> Path:
    """``$EDGEKIT_CACHE``, or the standard cache directory of the user on this system."""
    chosen = os.environ.get("EDGEKIT_CACHE")
    if chosen:
        return expanded(chosen).absolute()
    return user_cache_folder()


def cache_size() -> int:
    """Size of the cache on disk in bytes."""
    return sum(_size(path) for path in _own())


def clear_cache() -> int:
    """Remove everything that edgekit wrote into its cache; returns the number of bytes that were freed.

    Images are decoded again when they are needed. A run that is using a decoded file keeps it until it ends.
    """
    freed = 0
    if not cache_dir().is_dir():
        return freed
    with cache_lock():
        for path in _own():
            freed += _size(path)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for part in filter(None, _OWN):
            with suppress(OSError):  # it does not exist, or contains other files
                (cache_dir() / part).rmdir()
    return freed


def _own() -> list[Path]:
    """The files and folders that edgekit wrote into its cache, without links."""
    folders = [(cache_dir() / part, name) for part, name in _OWN.items()]
    return [
        path
        for folder, name in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if (name.fullmatch(path.name) or TEMPORARY.fullmatch(path.name)) and not path.is_symlink()
    ]


@contextmanager
def cache_lock(progress: Progress = SILENT) -> Iterator[None]:
    """Wait until no other process writes the cache. The lock is released when the process ends, however it ends."""
    folder = cache_dir()
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.info("waiting for another edgekit process that is writing to the cache")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill. It gets the name ``folder`` if the block ends without an error and is removed otherwise.

    Use it under :func:`cache_lock`: an unfinished folder that a killed process left is removed first.
    """
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = folder.with_name(folder.name + PARTIAL)
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir()
        try:
            yield partial
            if folder.exists():
                shutil.rmtree(folder)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of the disk into an error that names the directory and says how to choose another."""
    try:
        yield
    except OSError as error:
        hint = "free some space, or set EDGEKIT_CACHE to a folder on another disk"
        if error.errno in _FULL:
            raise EdgekitError("the disk is full", where=str(path), hint=hint) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            problem = f"the cache cannot be used: {(error.strerror or str(error)).lower()}"
            raise EdgekitError(problem, where=str(error.filename or path), hint=hint) from error
        raise


def need_space(folder: Path, size_bytes: int) -> None:
    """Raise :class:`EdgekitError` unless the disk of ``folder`` has ``size_bytes`` bytes free."""
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < size_bytes:
        raise EdgekitError(
            f"the decoded images need {size_bytes / 1e6:,.1f} MB, but only {free_bytes / 1e6:,.1f} MB are free",
            where=str(folder),
            hint="use a smaller image size, free some space, or set EDGEKIT_CACHE to a folder on another disk",
        )


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(p.lstat().st_size for p in path.rglob("*") if p.is_file())
    return path.lstat().st_size if path.exists() else 0
