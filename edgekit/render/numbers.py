"""How numbers are written: fixed decimals within a column, a dash for what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NONE = "–"


def percent(fraction: float | None, digits: int = 1) -> str:
    """``0.9637`` as ``96.4``: the unit stands in the header."""
    return NONE if fraction is None else f"{100 * fraction:.{digits}f}"


def percent_range(interval: Sequence[float] | None, digits: int = 1) -> str:
    """``(0.952, 0.973)`` as ``95.2 to 97.3``."""
    return NONE if interval is None else f"{percent(interval[0], digits)} to {percent(interval[1], digits)}"


def points(difference: float | None) -> str:
    """A difference of fractions in percentage points, with a sign unless it rounds to zero."""
    return NONE if difference is None else signed(100 * difference, 1)


def signed(value: float, digits: int) -> str:
    """With its sign, unless it rounds to zero."""
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return f"{'+' if value > 0 else '−'}{text}"


def megabytes(size_bytes: float | None, digits: int = 2) -> str:
    """Millions of bytes."""
    return NONE if size_bytes is None else f"{size_bytes / 1e6:,.{digits}f}"


def number(value: float | None, digits: int) -> str:
    """With a comma between thousands."""
    return NONE if value is None else f"{value:,.{digits}f}"


def digits_for(values: Iterable[float | None]) -> int:
    """Decimals (0 to 3) that show three significant digits of the smallest value, for a whole column."""
    known = [abs(value) for value in values if value]
    if not known:
        return 1
    smallest = min(known)
    return next((digits for digits, limit in ((0, 100), (1, 10), (2, 1)) if smallest >= limit), 3)


def significant(value: float) -> str:
    """Three significant digits, for running text."""
    return f"{value:,.{digits_for([value])}f}"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """``1 file``, ``3 files``."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listing(items: Sequence[str], most: int = 3) -> str:
    """``a, b and c``; what goes beyond ``most`` is counted."""
    if len(items) > most:
        return f"{', '.join(items[: most - 1])} and {len(items) - most + 1} more"
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
