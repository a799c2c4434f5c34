"""Keeps the messages of libtiff, which Pillow contains, from the terminal.

libtiff writes what it thinks of a damaged file straight to stderr. Pillow raises an error for such a file anyway.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path


@functools.cache
def silence_libtiff() -> bool:
    """Switch the messages off, once in a process; returns whether libtiff was found. Works on Linux only."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").split("\n")
        paths = {line.split(maxsplit=5)[5] for line in maps if "libtiff" in line and "/" in line}
        for path in paths:
            library = ctypes.CDLL(path)
            for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
                handler = getattr(library, name)
                handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
                handler(None)
    except (OSError, AttributeError, IndexError):  # another system, or a Pillow without libtiff
        return False
    return bool(paths)
