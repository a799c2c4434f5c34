"""Hides what libraries print from C++, unless something goes wrong."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_native_output() -> Iterator[None]:
    """Hide what is written to file descriptor 2 in this block, but print it if the block raises an error.

    ``sys.stderr`` of Python writes to the same descriptor, so do not print messages for the user inside the block. With
    ``EDGEKIT_DEBUG=1``, nothing is hidden.
    """
    if os.environ.get("EDGEKIT_DEBUG") == "1":
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
