"""Memory that the process no longer needs."""

from __future__ import annotations

import contextlib
import ctypes
import gc


def release_memory() -> None:
    """Give freed memory back to the system, where the C library can (glibc).

    Threads that allocate the activations of a network leave a gigabyte of freed blocks behind, which would otherwise
    count until the process ends.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
