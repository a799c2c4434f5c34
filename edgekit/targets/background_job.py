"""One job in the background of a device: started once, followed through any number of connections."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Generator

from edgekit.device.protocol.events import ErrorEvent, JobEvent
from edgekit.device.protocol.jobs import AnyJob
from edgekit.device.protocol.requests import FollowEvent, FollowRequest, StartRequest
from edgekit.device.protocol.verbs import FOLLOW, START
from edgekit.errors import EdgekitError, TargetError
from edgekit.targets.base import crash, failure, model_path
from edgekit.targets.connection import ConnectionLost
from edgekit.targets.device_client import TRIES, DeviceClient
from edgekit.targets.job_events import JobAnswers, ModelFacts
from edgekit.targets.resume import JobProgress
from edgekit.targets.upload import Upload


class BackgroundJob:
    """A job of a verb. ``upload`` translates the device's paths back to those of this machine."""

    def __init__(
        self,
        client: DeviceClient,
        verb: str,
        job: AnyJob,
        upload: Upload,
        progress: JobProgress,
        facts: ModelFacts,
    ) -> None:
        self._client = client
        self._verb = verb
        self._job = job
        self._upload = upload
        self._progress = progress
        self._answers = JobAnswers(client.name, verb, job, facts, upload.local_path)
        self._id = uuid.uuid4().hex
        self._lines = 0
        self._exit_code = 1
        self._opening: str | None = None

    def run(self) -> Generator[JobEvent, None, bool]:
        """Start the job and yield its events. The generator returns whether the job finished; False: it was lost.

        If the connection breaks, it is restored, and the events continue where they stopped. Raises the error of the
        connection if it breaks again and again without any event in between.
        """
        events, seen, losses = self._start(), 0, 0
        while True:
            try:
                with contextlib.closing(events):
                    return (yield from self._follow(events))
            except ConnectionLost as lost:
                losses = 0 if self._lines > seen else losses + 1
                if losses == TRIES:
                    raise lost.error from None
                seen = self._lines
                self._client.reconnect(lost, measuring=True)
                if self._lines:
                    events = self._client.stream(FOLLOW, FollowRequest(id=self._id, skip_lines=self._lines))
                else:  # it may not have started; if it has, it is only followed
                    events = self._start()

    def _start(self) -> Generator[FollowEvent, None, None]:
        return self._client.stream(START, StartRequest(id=self._id, verb=self._verb, job=self._job))

    def _follow(self, events: Generator[FollowEvent, None, None]) -> Generator[JobEvent, None, bool]:
        for event in events:
            if event["event"] == "lost":
                return False
            if event["event"] == "stderr":
                raise crash(self._exit_code, self._opening, event["text"])
            self._lines += 1
            line = self._answers.checked(event["line"])
            if line["event"] == "done":
                return True
            if line["event"] == "error":
                raise self._failure(line)
            if line["event"] == "exit":
                self._exit_code = line["code"]
            elif line["event"] == "opening":
                self._opening = self._upload.local_path(model_path(self._upload.job, line["key"]))
            elif line["event"] != "broken" and self._progress.is_new(line):
                self._opening = None
                yield self._with_local_path(line)
        raise TargetError(f"{self._client.name} stopped reporting on its job")

    def _failure(self, event: ErrorEvent) -> EdgekitError:
        where = None if event["where"] is None else self._upload.local_path(event["where"])
        return failure({**event, "where": where}, install=f"edgekit target setup {self._client.name}")

    def _with_local_path(self, event: JobEvent) -> JobEvent:
        if event["event"] == "prediction":
            return {**event, "file": self._upload.order[event["number"]]}
        return event
