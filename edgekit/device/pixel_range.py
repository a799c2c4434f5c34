"""How pixel values of more than 8 bits become 0 to 255."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

FULL, PERCENTILE = "full", "percentile"
"""How values of more than 8 bits become 0 to 255: from 0-65535, or from the darkest and brightest of each image. The
third way is an explicit range, such as ``0-4095``."""


def parse_range(text: str) -> tuple[int, int]:
    """``"0-4095"`` as numbers, and ``"full"`` as (0, 65535); raises :class:`ValueError` for anything else."""
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    low, high = (0, 65535) if text == FULL else (int(match[1]), int(match[2])) if match else (0, 0)
    if not low < high <= 65535:
        raise ValueError(f"a pixel range is full, percentile or LOW-HIGH, such as 0-4095, not {text!r}")
    return low, high


def range_table(counts: np.ndarray[Any, Any], pixel_range: str, step: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The 8-bit value of each stored value, of which ``counts`` are the numbers; ``step`` apart on the 16-bit scale."""
    values = np.arange(len(counts), dtype=np.int64) * step
    if pixel_range == PERCENTILE:
        # In integers, so that every machine finds the same.
        below = np.cumsum(counts)
        low = int(np.searchsorted(200 * below, below[-1])) * step
        high = max(int(np.searchsorted(200 * below, 199 * below[-1])) * step, low + 1)
    else:
        low, high = parse_range(pixel_range)
    span = high - low
    return np.asarray(((2 * 255 * (values - low) + span) // (2 * span)).clip(0, 255).astype(np.uint8))
