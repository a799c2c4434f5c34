"""A lock on a folder, so that two edgekit processes do not write the same files."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekit.errors import InputError
from edgekit.support.os_errors import reason_of

LOCK_FILE = ".lock"
"""Its name in the locked folder. The file means nothing by itself: what counts is that a process holds a lock on it."""


@contextmanager
def folder_lock(folder: Path, busy: str) -> Iterator[Path]:
    """Lock ``folder``, which is created if necessary, during this block. Yields the file that is locked.

    The system releases the lock when the process ends, even by ``kill -9``. Raises :class:`InputError` with the problem
    ``busy`` if another process holds it, and where the file cannot be created. Folders that this function created are
    removed again if nothing was written to them.
    """
    created = _create(folder)
    try:
        file, handle = _acquire(folder, busy)
        try:
            yield file
        finally:
            file.unlink(missing_ok=True)  # while it is locked: nobody else can hold it
            os.close(handle)
    finally:
        for path in created:
            with contextlib.suppress(OSError):  # it contains something now
                path.rmdir()


def _create(folder: Path) -> list[Path]:
    """The folders that had to be created, innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"this folder cannot be created: {reason_of(error)}", where=str(folder)) from None
    return missing


def _acquire(folder: Path, busy: str) -> tuple[Path, int]:
    file = folder / LOCK_FILE
    while True:
        try:
            handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            problem = f"cannot write to this folder: {reason_of(error)}"
            raise InputError(problem, where=str(folder)) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(file, handle):
                os.ftruncate(handle, 0)
                os.write(handle, f"{os.getpid()}\n".encode())
                return file, handle
        except OSError as error:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            os.close(handle)
            if not isinstance(error, BlockingIOError):
                raise
            process = f" (process {holder})" if holder.isdigit() else ""
            raise InputError(f"{busy}{process}", where=str(folder), hint="wait until it has finished") from None
        os.close(handle)  # the process that held the lock has removed this file


def _is(file: Path, handle: int) -> bool:
    """Whether ``handle`` is of the file that has this name now."""
    try:
        return os.path.samestat(file.stat(), os.fstat(handle))
    except OSError:
        return False
