"""How much memory decoding one image may take, unless a person says so."""

from __future__ import annotations

import os

LIMIT_VARIABLE = "EDGEKIT_MAX_IMAGE_MB"
"""Environment variable with the memory in MB that decoding one image may take."""

DEFAULT_LIMIT_MB = 1000


def default_limit_mb() -> int:
    """:data:`DEFAULT_LIMIT_MB`, on a small device half of its memory."""
    try:
        memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000
    except (AttributeError, OSError, ValueError):
        return DEFAULT_LIMIT_MB
    return max(1, min(DEFAULT_LIMIT_MB, memory_mb // 2))
