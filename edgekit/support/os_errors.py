"""Failures of the operating system in words, and a check that a folder can be written before slow work starts."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import tempfile
from pathlib import Path

from edgekit.errors import EdgekitError, InputError

ROOM = 4 << 20
"""Bytes that :func:`check_writable` asks for unless the caller knows better: documents and predictions."""

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than this system allows",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOENT: "no such file or folder",
    errno.EISDIR: "this is a folder, not a file",
    errno.ENOTDIR: "a part of this path is a file, not a folder",
    errno.EEXIST: "a file of this name already exists",
    errno.ENAMETOOLONG: "this name is too long",
    errno.ELOOP: "this symbolic link leads back to itself",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files on this machine",
    errno.ENOMEM: "not enough memory",
    errno.EIO: "the disk reports an input/output error",
    errno.ESTALE: "the network drive is no longer available",
}

_HINTS = {
    errno.ENOSPC: "free some space, then rerun this command",
    errno.EDQUOT: "free some space, then rerun this command",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
}

_IMPOSSIBLE_NAMES = (errno.ENAMETOOLONG, errno.ELOOP)
"""Faults of a name that was given to edgekit, which no system could open."""


def reason_of(error: OSError) -> str:
    """What went wrong, without the number and the file name: ``the disk is full``."""
    if error.errno in _REASONS:
        return _REASONS[error.errno]
    words = error.strerror or str(error) or type(error).__name__
    return words[:1].lower() + words[1:]


def first_line(error: BaseException, most: int = 300) -> str:
    """The first line of a library's message, shortened, or the kind of the error if it says nothing."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if len(line) <= most else f"{line[:most]}..."


def from_os_error(error: OSError) -> EdgekitError:
    """``error`` as an error of edgekit that names the file."""
    if error.errno == errno.ENOENT and error.filename is None:
        return EdgekitError("the current folder no longer exists", hint="change to another folder")
    name = error.filename if error.filename2 is None else error.filename2
    where = None if name is None else os.fsdecode(name) if isinstance(name, str | bytes) else str(name)
    kind = InputError if error.errno in _IMPOSSIBLE_NAMES else EdgekitError
    return kind(reason_of(error), where=where, hint=_HINTS.get(error.errno or 0))


def check_writable(folder: Path, size_bytes: int = ROOM, *, hint: str | None = None) -> None:
    """Raise :class:`InputError` unless files of ``size_bytes`` can be created in ``folder``, which may not exist yet.

    Call it before slow work, so that nothing is computed that cannot be stored.
    """
    place = _nearest_existing(Path(folder))
    try:
        with tempfile.TemporaryFile(prefix=".edgekit-", dir=place) as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
        free_bytes = shutil.disk_usage(place).free
    except OSError as error:
        problem = f"cannot write to this folder: {reason_of(error)}"
        raise InputError(problem, where=str(folder), hint=hint or _HINTS.get(error.errno or 0)) from None
    if free_bytes < size_bytes:
        raise InputError(
            f"this needs about {size_bytes / 1e6:,.0f} MB, but only {free_bytes / 1e6:,.0f} MB are free on this disk",
            where=str(folder),
            hint="free some space, or use a folder on another disk",
        )
    largest = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if largest != resource.RLIM_INFINITY and largest < size_bytes:
        raise InputError(
            f"this needs files of about {size_bytes / 1e6:,.0f} MB, but the limit is {largest / 1e6:,.1f} MB",
            where=str(folder),
            hint=_HINTS[errno.EFBIG],
        )


def _nearest_existing(folder: Path) -> Path:
    """``folder``, or the nearest folder above it that exists; :class:`InputError` if a file is in the way."""
    for place in (folder, *folder.absolute().parents):
        try:
            if place.is_dir():
                return place
            if place.exists() or place.is_symlink():
                problem = "this is a file, not a folder" if place == folder else "a part of this path is not a folder"
                raise InputError(problem, where=str(place))
        except OSError as error:
            raise InputError(reason_of(error), where=str(folder)) from None
    return Path("/")
