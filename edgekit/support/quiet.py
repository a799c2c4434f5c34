"""Hides what libraries print, unless something goes wrong."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


def debugging() -> bool:
    """Whether ``EDGEKIT_DEBUG=1`` asks for tracebacks and for everything that libraries print."""
    return os.environ.get("EDGEKIT_DEBUG") == "1"


def hide_library_warnings() -> None:
    """Hide the warnings of Pillow, Keras, Matplotlib and others in this process: they name lines of a library's code.

    ``EDGEKIT_DEBUG=1``, ``PYTHONWARNINGS`` and ``python -W`` still show them. What a user should know, edgekit says
    itself.
    """
    if debugging():
        return
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())  # without any handler, Python prints them on stderr


@contextmanager
def quiet_native_output() -> Iterator[None]:
    """Hide what is written to file descriptor 2 in this block, but print it if the block raises an error.

    ``sys.stderr`` of Python writes to the same descriptor, so do not print messages for the user inside the block. With
    ``EDGEKIT_DEBUG=1``, nothing is hidden.
    """
    if debugging():
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            sys.stderr.flush()
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
