"""Keep what libraries print from C++ out of a person's sight, unless something goes wrong."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_native_output() -> Iterator[None]:
    """Hold back what is written to file descriptor 2 in the block; shown after all if the block raises.

    Python's own ``sys.stderr`` writes to the same descriptor, so nothing that a person should read at once may be
    printed inside. With ``EDGEKIT_DEBUG=1`` nothing is held back.
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
