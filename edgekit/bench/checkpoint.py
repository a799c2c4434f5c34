"""Results that are written while a session runs, so that a report can be made of what there is."""

from __future__ import annotations

import contextlib
import time

from edgekit.bench.results import SessionResults

MOST_SHARE = 0.05
"""Share of the session that writing incomplete results may take."""


class Checkpoints:
    """Writes incomplete results between measurements."""

    def __init__(self, results: SessionResults) -> None:
        self._results = results
        self._start = time.monotonic()
        self._spent = 0.0

    def step(self) -> None:
        """A measurement has ended: write, unless that has taken too much of the time so far."""
        if self._spent <= MOST_SHARE * (time.monotonic() - self._start):
            self.last()

    def last(self) -> bool:
        """Write now. Whether there was anything to write; a full disk is no reason to hide why the session ended."""
        start, written = time.monotonic(), False
        self._results.check_answers()
        with contextlib.suppress(OSError):
            for model in self._results.plan.models:
                written |= self._results.write_incomplete(model)
        self._spent += time.monotonic() - start
        return written
