"""Numbers as text, for the terminal, Markdown and HTML. Columns have fixed decimals; a dash is an unknown value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NONE = "–"


def percent(fraction: float | None, digits: int = 1) -> str:
    """``0.9637`` as ``96.4``: the unit is in the header."""
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


def megabytes(size_bytes: float | None, digits: int | None = None) -> str:
    """Millions of bytes, with two decimals (three below 100 kB) unless a column asks for ``digits``."""
    if size_bytes is None:
        return NONE
    return number(size_bytes / 1e6, (3 if size_bytes < 100_000 else 2) if digits is None else digits)


def milliseconds(value_ms: float | None) -> str:
    """Three significant digits: ``0.123``, ``4.56``, ``78.9``, ``1,234``."""
    return NONE if value_ms is None else significant(value_ms)


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


def ratio(value: float, low: float, high: float) -> str:
    """``1.24 times (95% interval 1.21 to 1.27)``."""
    return f"{value:.2f} times (95% interval {low:.2f} to {high:.2f})"
