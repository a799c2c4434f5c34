"""Where the time of a run goes: seconds of wall-clock time by part."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from edgekit.documents.run import ProfileRecord

PARTS = tuple(name.removesuffix("_seconds") for name in ProfileRecord.model_fields if name != "other_seconds")
"""The parts that are measured, in the order in which a run goes through them."""


@dataclass
class Times:
    """Adds up the time that the main thread spends on each part.

    The time of a part that is measured inside another does not count for the other.
    """

    clock: Callable[[], float] = time.perf_counter
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    started: float = field(init=False)
    _inner: list[float] = field(default_factory=list)
    """For each part that is open: the time spent on parts inside it."""

    def __post_init__(self) -> None:
        self.started = self.clock()

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Count the time of this block for ``part``."""
        started = self.clock()
        self._inner.append(0.0)
        try:
            yield
        finally:
            spent = self.clock() - started
            self.seconds[part] += spent - self._inner.pop()
            if self._inner:
                self._inner[-1] += spent

    def move(self, seconds: float, part: str, to: str) -> None:
        """Count ``seconds`` that were measured as ``part`` for another part."""
        self.seconds[part] -= seconds
        self.seconds[to] += seconds

    def record(self) -> ProfileRecord:
        """The times so far; what no part accounts for is ``other``."""
        rest = self.clock() - self.started - sum(self.seconds.values())
        return ProfileRecord(
            **{f"{part}_seconds": seconds for part, seconds in self.seconds.items()}, other_seconds=max(rest, 0.0)
        )
