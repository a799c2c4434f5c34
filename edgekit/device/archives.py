"""Zip archives that may be damaged or made to do harm: metadata of TFLite files, ``.npz`` files."""

import struct
import zipfile
import zlib
from typing import Optional

DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
)
"""What Python and NumPy raise for an archive that is cut, changed, encrypted or compressed in an unknown way."""


def member_names(path: str) -> "list[str]":
    """The names of the files in an archive; none if there is no readable archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except DAMAGED:
        return []


def read_member(path: str, name: str, most_bytes: int) -> Optional[bytes]:
    """The content of one file in an archive; None if it is missing, damaged, or has more than ``most_bytes`` bytes."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(name) as stream:
            content = stream.read(most_bytes + 1)
    except DAMAGED:
        return None
    return content if len(content) <= most_bytes else None
