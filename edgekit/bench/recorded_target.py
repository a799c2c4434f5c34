"""A target whose answers are kept in a journal, so that an interrupted session continues where it stopped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from edgekit.bench.journal import Attempt, Journal
from edgekit.device.protocol.events import JobEvent
from edgekit.device.protocol.jobs import AnyJob
from edgekit.device.protocol.verbs import LATENCY, Answer, Given, Verb
from edgekit.targets.base import Target
from edgekit.targets.resume import JobProgress


class RecordedTarget:
    """Answers a job from the journal as far as it goes, and lets the target do the rest: see :class:`Target`."""

    def __init__(self, target: Target, journal: Journal) -> None:
        self._target = target
        self._journal = journal

    @property
    def name(self) -> str:
        return self._target.name

    @property
    def threads(self) -> tuple[int, ...] | None:
        return self._target.threads

    @property
    def runtime(self) -> str | None:
        return self._target.runtime

    def run(self, verb: Verb[Given, Answer], job: Given) -> Iterator[Answer]:
        """The answers of earlier sittings, then those to what is left of the job."""
        return cast("Iterator[Answer]", self._run(verb, cast("AnyJob", job)))

    def _run(self, verb: Verb[Given, Answer], job: AnyJob) -> Iterator[JobEvent]:
        progress = JobProgress(verb, job)
        for attempt in self._usable(verb, job, progress):
            if verb == LATENCY:
                yield {"event": "sitting", "number": attempt.sitting}
            yield from filter(progress.is_new, attempt.events)
            if attempt.done:
                return
        if verb == LATENCY:
            yield {"event": "sitting", "number": self._journal.sitting}
        rest = cast("Given", progress.rest(job))
        self._journal.start_job(verb, job)
        for event in cast("Iterator[JobEvent]", self._target.run(verb, rest)):
            self._journal.add(event)
            if progress.is_new(event):
                yield event
        self._journal.finish_job()

    def _usable(self, verb: str, job: AnyJob, progress: JobProgress) -> list[Attempt]:
        attempts = self._journal.attempts(verb, job)
        return attempts if progress.resumable else [attempt for attempt in attempts if attempt.done]

    def abort(self) -> None:
        self._target.abort()

    def close(self) -> None:
        self._target.close()
