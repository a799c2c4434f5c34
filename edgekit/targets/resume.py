"""What remains of a job after the device lost it (a restart, a power cut), so that nothing is measured twice."""

from __future__ import annotations

from edgekit.device.jobs import entry_key
from edgekit.device.protocol import CLEAN
from edgekit.device.protocol.events import JobEvent
from edgekit.device.protocol.jobs import AnyJob
from edgekit.device.protocol.verbs import ACCURACY, LATENCY, SUSTAINED


class JobProgress:
    """Follows the events of one job and knows what is left to do."""

    def __init__(self, verb: str, job: AnyJob) -> None:
        self._verb = verb
        self._seen: set[tuple[str, str, int]] = set()
        self._blocks = job.get("skip", 0) if verb == LATENCY else 0
        done = job.get("skip", 0) if verb == ACCURACY else 0
        conditions = range(len(job.get("corruptions", [CLEAN])))
        keys = [entry_key(entry) for entry in job.get("models", [])]
        # The first image without a prediction, by model and number of the condition.
        self._next: dict[tuple[str, int], int] = {(key, condition): done for key in keys for condition in conditions}

    @property
    def resumable(self) -> bool:
        """A sustained run is not: the device has cooled down during the interruption."""
        return self._verb != SUSTAINED

    def is_new(self, event: JobEvent) -> bool:
        """Note an event. False if it repeats one from before the interruption."""
        if event["event"] == "block":
            self._blocks += 1
        elif event["event"] == "failed":
            self._next = {place: start for place, start in self._next.items() if place[0] != event["key"]}
        elif event["event"] == "predictions":
            place = (event["key"], event["condition"])
            if event["start"] < self._next.get(place, 0):
                return False
            self._next[place] = event["start"] + event["count"]
        elif event["event"] == "prediction":
            return self._first("prediction", event["key"], event["number"])
        elif (
            event["event"] == "memory"
            or event["event"] == "verified"
            or event["event"] == "energy"
            or event["event"] == "images"
        ):
            return self._first(event["event"], event["key"], 0)
        return True

    def rest(self, job: AnyJob) -> AnyJob:
        """``job`` (with the target's paths) without what is done."""
        if self._verb == LATENCY and self._blocks:
            return {**job, "skip": self._blocks}
        if self._verb == ACCURACY and self._next:
            # A model that failed stays out: its output was not finite, and would not be this time.
            left = {key for key, _ in self._next}
            models = [entry for entry in job["models"] if entry_key(entry) in left]
            return {**job, "models": models, "skip": min(self._next.values())}
        return job

    def _first(self, kind: str, key: str, number: int) -> bool:
        mark = (kind, key, number)
        if mark in self._seen:
            return False
        self._seen.add(mark)
        return True
