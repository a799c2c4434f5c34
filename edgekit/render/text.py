"""Words and lists as text: plurals, enumerations, names clipped to a width."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.device.plain_text import visible

__all__ = ["capitalized", "clipped", "listing", "plural", "visible"]


def plural(n: float, noun: str, several: str | None = None) -> str:
    """``1 file``, ``3 files``, ``1,204 images``; ``several`` is the plural of nouns that take more than an *s*."""
    number = f"{n:,}" if isinstance(n, int) else f"{n:g}"
    return f"{number} {noun if n == 1 else several or noun + 's'}"


def listing(items: Sequence[str], most: int = 3) -> str:
    """``a, b and c``; what goes beyond ``most`` is counted: ``a, b and 4 more``."""
    if len(items) > most:
        return f"{', '.join(items[: most - 1])} and {len(items) - most + 1} more"
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def clipped(text: str, width: int, *, middle: bool = False) -> str:
    """``text`` in at most ``width`` (4 or more) characters, with ``..`` for what is cut.

    The end is cut, or the middle where both ends tell names apart.
    """
    if len(text) <= width:
        return text
    if not middle:
        return f"{text[: width - 2]}.."
    tail = (width - 2) // 2
    return f"{text[: width - 2 - tail]}..{text[-tail:]}"


def capitalized(text: str) -> str:
    """With a capital first letter, the rest unchanged: ``CPU time`` stays as it is."""
    return text[:1].upper() + text[1:]
