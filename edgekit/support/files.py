"""Atomic writes, hashes and compressed sizes of files."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

TEMPORARY = re.compile(r"\..+\.edgekit-[a-z0-9_]{8}\.tmp(\..*)?", re.DOTALL)
"""Names of the temporary files of :func:`atomic_path`."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path next to ``path``, which replaces it when the block ends without an error.

    After a crash, an interrupt, a full disk or a power failure, the old file is still there, or none, but never a
    partial one. The temporary name keeps the suffix, because Keras and others choose the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(path.suffixes[-2:])
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.edgekit-", suffix=f".tmp{suffix}", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        flush_to_disk(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def temporaries(folder: Path) -> Iterator[Path]:
    """The partial files that killed processes left in ``folder`` and below.

    Links are not followed, and hidden folders are skipped, because edgekit does not write to any.
    """
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in (Path(place, name) for name in files if TEMPORARY.fullmatch(name)):
            if stat.S_ISREG(file.lstat().st_mode):
                yield file


def flush_to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk, where the file system can do that."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` (UTF-8) atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


class Packer(Protocol):
    """A compressor object of zlib or ISA-L."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def gzip_size(path: Path) -> int:
    """Size in bytes after gzip at its default level: what an over-the-air update has to transfer.

    Plain weights hardly shrink, and ISA-L measures by how much in a tenth of the time of zlib, to within 0.2%. Files
    that do shrink (with pruned or clustered weights) are compressed with zlib, which compresses them better.
    """
    from isal import isal_zlib

    size = _packed_size(path, isal_zlib.compressobj(isal_zlib.ISAL_BEST_COMPRESSION, wbits=zlib.MAX_WBITS | 16))
    if size > 0.85 * path.stat().st_size:
        return size
    return _packed_size(path, zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS | 16))


def _packed_size(path: Path, packer: Packer) -> int:
    size = 0
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            size += len(packer.compress(block))
    return size + len(packer.flush())
