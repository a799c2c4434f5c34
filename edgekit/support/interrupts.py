"""Ctrl-C during long work: recognized wherever it arrives, and reported with the command that resumes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekit.support.progress import Progress


def is_interrupt(error: BaseException) -> bool:
    """Whether ``error`` is an interrupt, also one that arrived while C++ was calling back into Python.

    pybind11, through which TensorFlow calls Python, turns the latter into a :class:`RuntimeError` that quotes it.
    """
    return isinstance(error, KeyboardInterrupt) or (
        isinstance(error, RuntimeError) and KeyboardInterrupt.__name__ in str(error)
    )


@contextmanager
def resumable(started: Path, command: str, progress: Progress) -> Iterator[None]:
    """Tell ``progress`` the ``command`` that resumes the block after an interrupt, if it has written ``started``."""
    try:
        yield
    except (KeyboardInterrupt, RuntimeError) as error:
        if not is_interrupt(error):
            raise
        if started.is_file():
            progress.info(f"resume with: {command}")
        raise KeyboardInterrupt from error
