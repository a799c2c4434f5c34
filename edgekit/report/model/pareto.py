"""The Pareto front: what nothing else beats in both cost and value."""

from __future__ import annotations

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> set[int]:
    """Indices of the ``(cost, value)`` points that no other point beats.

    A point is beaten by one that costs no more and is worth no less, and is better in at least one of the two.
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
