"""Standard output and standard error that fail in words: closed, full, or in an encoding that lacks characters."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from edgekit.errors import EdgekitError

if TYPE_CHECKING:
    from typing_extensions import Buffer


class OutputLostError(EdgekitError):
    """The result could not be written to standard output. What the command stored in files is complete."""

    def __init__(self, error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        super().__init__(
            f"the result could not be written to standard output: {reason}",
            hint="files that this command wrote are complete; only what it prints is lost",
        )


class ReaderEndedError(Exception):
    """The program that reads standard output has ended, like ``head`` after the first lines."""


class _Results(io.FileIO):
    """Standard output, whose failures differ from those of any other file."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data) or 0
        except BrokenPipeError as error:
            raise ReaderEndedError from error
        except OSError as error:
            raise OutputLostError(error) from error


class _Messages(io.FileIO):
    """Standard error. Work does not stop because a message cannot be shown."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data) or 0
        except OSError:
            return memoryview(data).nbytes


def prepare_streams() -> None:
    """Call this once, before anything is opened or printed.

    Closed streams lead nowhere, because the next file that is opened would otherwise take their place. A character
    that the encoding of a stream lacks is written as an escape (``\\xe9``). Streams that a caller has redirected to an
    object of its own are left alone.
    """
    _open_closed_descriptors()
    if os.environ.get("COLUMNS", "x").strip("0") == "":
        del os.environ["COLUMNS"]  # some terminals and CI systems set it to 0, in which no message would fit
    sys.stdout = _wrapped(sys.stdout, 1, _Results)
    sys.stderr = _wrapped(sys.stderr, 2, _Messages)


def abandon_stdout() -> None:
    """Lead standard output nowhere, so that what is still buffered causes no second error when the process ends."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # redirected to an object without a file
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _open_closed_descriptors() -> None:
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)


def _wrapped(stream: TextIO | None, descriptor: int, kind: type[io.FileIO]) -> TextIO:
    if stream is None:  # it was closed when Python started
        return _text(kind(descriptor, "w", closefd=False), "utf-8")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    if type(stream) is not io.TextIOWrapper:
        return stream
    raw = getattr(stream.buffer, "raw", stream.buffer)
    if type(raw) is not io.FileIO or raw.fileno() != descriptor:
        return stream
    stream.flush()
    return _text(kind(descriptor, "w", closefd=False), stream.encoding, line_buffering=stream.line_buffering)


def _text(raw: io.FileIO, encoding: str, *, line_buffering: bool = True) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=line_buffering
    )
