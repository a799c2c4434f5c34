"""The Pareto front: the points that no other point beats in both cost and value."""

from __future__ import annotations

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> set[int]:
    """Indices of the ``(cost, value)`` points that no other point beats.

    A point beats another if its cost is no higher and its value no lower, and at least one of the two is better.
    Equal points stay together. Reading the points by rising cost, a point stays if its value exceeds all before.
    """
    front: set[int] = set()
    best = float("-inf")
    at_best: tuple[float, float] | None = None
    for cost, negative, index in sorted((cost, -value, i) for i, (cost, value) in enumerate(points)):
        if -negative > best or (cost, -negative) == at_best:
            best, at_best = -negative, (cost, -negative)
            front.add(index)
    return front
