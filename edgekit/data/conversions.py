"""What edgekit converts when it decodes: animations, transparency, palettes, CMYK, EXIF rotation, 16 bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekit.data.pixel_range import DeepImages
from edgekit.device.images import ImageError, load_with_peak
from edgekit.render.text import plural

DECODED_DEEP = 200
"""Upper limit on the images with more than 8 bits that are decoded to find the range of their values."""

_HOW = {
    "animated": "animated: only the first frame is used",
    "alpha": "transparent: they are blended with white",
    "palette": "with a palette: they are converted to RGB",
    "CMYK": "in CMYK: they are converted to RGB without a colour profile",
    "rotated": "rotated by EXIF: they are turned upright",
    "16-bit": "with more than 8 bits: they are scaled to 8 bits (data.range)",
}
"""The traits of :class:`edgekit.device.images.ImageHeader` in words, with what happens."""

_NAMED = 3


def conversion_note(found: Mapping[str, Sequence[str]], sampled: int, total: int) -> str | None:
    """One summary of the images that are converted, with examples of each kind; None if there are none."""
    if not any(found.values()):
        return None
    of = f"of {plural(total, 'image')}" if sampled == total else f"of a sample of {sampled:,} of {total:,} images"
    lines = []
    for trait, words in _HOW.items():
        files = list(found.get(trait, ()))
        if files:
            more = f" and {len(files) - _NAMED:,} more" if len(files) > _NAMED else ""
            lines.append(f"  - {len(files):,} {words} ({', '.join(files[:_NAMED])}{more})")
    return f"converted when they are read, {of}:\n" + "\n".join(lines)


def deep_images(root: Path, files: Sequence[str]) -> DeepImages:
    """The range of the values of ``files`` with more than 8 bits, from an even sample; ``count`` is that of all."""
    peaks = []
    for file in files[:: max(1, -(-len(files) // DECODED_DEEP))]:
        try:
            loaded = load_with_peak(root / file, 32)
        except (ImageError, OSError):
            continue
        if loaded.peak is not None:
            peaks.append((loaded.peak, loaded.is_deep_colour))
    found = DeepImages.of(peaks)
    return DeepImages(len(files) if found.count else 0, found.colour, found.peak)
