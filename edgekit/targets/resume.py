"""What is left of a job after the device lost it (a restart, a power cut), so that nothing is measured twice."""

from __future__ import annotations

from typing import Any

from edgekit.targets.base import Event, Job

CHUNKED = ("predictions", "failed")


class Progressed:
    """Follows the lines of one job and knows what is still to do."""

    def __init__(self, verb: str, job: Job) -> None:
        self._verb = verb
        self._job = job
        self._seen: set[tuple[Any, ...]] = set()
        self._blocks = 0
        conditions = range(len(job.get("corruptions", ["clean"])))
        keys = [str(model.get("key", model["path"])) for model in job.get("models", [])]
        # The first image without an answer, by model and number of the condition (clean, or one of the corruptions).
        self._next: dict[tuple[str, int], int] = {(key, condition): 0 for key in keys for condition in conditions}

    @property
    def resumable(self) -> bool:
        """A sustained run that was interrupted has cooled down: it cannot be gone on with."""
        return self._verb != "sustained"

    def is_new(self, event: Event) -> bool:
        """Note a line; False for one that was there before the interruption."""
        kind, key = event["event"], event.get("key")
        if kind == "block":
            self._blocks += 1
        if self._verb == "accuracy" and kind in CHUNKED:
            place = (str(key), int(event.get("condition", 0)))
            if kind == "failed":
                self._next = {other: start for other, start in self._next.items() if other[0] != str(key)}
            elif event["start"] < self._next.get(place, 0):
                return False
            else:
                self._next[place] = event["start"] + event["count"]
        if kind in ("prediction", "memory", "verified", "energy", "images"):
            mark = (kind, key, event.get("number"))
            if mark in self._seen:
                return False
            self._seen.add(mark)
        return True

    def rest(self, job: Job) -> Job:
        """``job`` (in the target's paths) without what is done."""
        if self._verb == "latency" and self._blocks:
            return {**job, "skip": self._blocks}
        if self._verb == "accuracy" and self._next:
            # A model that failed stays out: its output was not finite, and that does not pass.
            left = {key for key, _ in self._next}
            models = [m for m in job["models"] if str(m.get("key", m["path"])) in left]
            return {**job, "models": models, "skip": min(self._next.values())}
        return job
