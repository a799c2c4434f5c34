"""``data.range``: how images with more than 8 bits become 0 to 255."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgekit.device.pixel_range import FULL
from edgekit.render.text import plural

AUTO = "auto"

_BITS = (8, 10, 12, 14)
"""The depths of scanners and cameras that are stored in 16 bits."""


@dataclass(frozen=True)
class DeepImages:
    """What is known about the images with more than 8 bits: how many, how many in colour, and their largest value."""

    count: int = 0
    colour: int = 0
    peak: int = 0

    @classmethod
    def of(cls, peaks: Iterable[tuple[int, bool]]) -> DeepImages:
        """From the largest value of each image, and whether it is in colour."""
        found = list(peaks)
        return cls(len(found), sum(colour for _, colour in found), max((peak for peak, _ in found), default=0))

    @property
    def share(self) -> float:
        """The share of the 16-bit range that the images use (0 to 1)."""
        return self.peak / 65535

    @property
    def own_range(self) -> str:
        """The smallest usual range that holds all values: ``0-4095`` for 12-bit scans, ``full`` for 16 bits."""
        bits = next((bits for bits in _BITS if self.peak < 2**bits), 16)
        return FULL if bits == 16 or not self.count else f"0-{2**bits - 1}"

    def note(self, requested: str) -> str | None:
        """A warning if the images use a small part of the 16-bit range; None if not, or if ``requested`` fits it."""
        own = self.own_range
        if own == FULL or requested not in (AUTO, FULL):
            return None
        images, levels = plural(self.count, "image"), plural(self.peak // 257 + 1, "level")
        text = f"{images} with more than 8 bits use 0 to {self.peak:,}, {self.share:.1%} of the 16-bit range"
        if requested == FULL:
            text += f", so {levels} of 256 are left; use data.range: auto (here {own}) or percentile"
        else:
            text += f"; data.range: auto reads them as {own}"
        if self.colour:
            text += f". {self.colour:,} of them are in colour, of which only {levels} can be read"
            text += ": save them with 8 bits, scaled to 0-255"
        return text


def resolved(requested: str, images: DeepImages) -> str:
    """The range to use: ``requested``, or for ``auto`` the one that the images have."""
    return images.own_range if requested == AUTO else requested
