"""Bisection for integers and for reals."""

from __future__ import annotations

from collections.abc import Callable


def smallest(decides: Callable[[int], bool], low: int, most: int) -> int | None:
    """The smallest number from ``low`` to ``most`` for which ``decides`` holds; None if none.

    ``decides`` must be false up to some number and true from there on.
    """
    if decides(low):
        return low
    if not decides(most):
        return None
    high = most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def crossing(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function becomes negative between ``low`` and ``high``; ``high`` where it does not."""
    if falling(high) > 0:
        return high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return high
