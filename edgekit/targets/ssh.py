"""A target over SSH: the device program and the files of a job are sent once, and jobs outlive the connection."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from edgekit.device.protocol.events import JobEvent
from edgekit.device.protocol.jobs import AnyJob
from edgekit.device.protocol.requests import HostFacts, NoRequest
from edgekit.device.protocol.verbs import FACTS, PURGE, RELEASE, Answer, Given, Verb
from edgekit.errors import EdgekitError, TargetError
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.background_job import BackgroundJob
from edgekit.targets.config import TargetConfig
from edgekit.targets.connection import ConnectionLost
from edgekit.targets.device_client import DeviceClient
from edgekit.targets.job_events import ModelFacts
from edgekit.targets.object_sender import ObjectSender
from edgekit.targets.resume import JobProgress
from edgekit.targets.upload import Hashes, prepare_upload

RESTARTS = 5
"""How many times one job is started before giving up on a device that loses it."""

RELEASE_S = 20
"""How long a device may take to end its job when a session ends."""

FULL_BYTES = 1 << 20
"""A device with less free space than this could not write the events of its job."""


class SshTarget:
    """One machine of ``targets.toml``. Not to be shared between threads."""

    def __init__(self, config: TargetConfig, progress: Progress = SILENT) -> None:
        self.config = config
        self.progress = progress
        self._client = DeviceClient(config, progress)
        self._sender = ObjectSender(self._client)
        self._hashes = Hashes()
        self._facts = ModelFacts()
        self._started = False

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def threads(self) -> tuple[int, ...] | None:
        return self.config.threads

    @property
    def runtime(self) -> str | None:
        return self.config.runtime

    def run(self, verb: Verb[Given, Answer], job: Given) -> Iterator[Answer]:
        """See :class:`edgekit.targets.base.Target`. A broken connection is restored, a lost job resumed."""
        return cast("Iterator[Answer]", self._run(verb, cast("AnyJob", job)))

    def _run(self, verb: str, job: AnyJob) -> Iterator[JobEvent]:
        upload = prepare_upload(job, self._hashes)
        self.send(upload.files)
        progress = JobProgress(verb, upload.job)
        for _ in range(RESTARTS):
            self._started = True
            rest = progress.rest(upload.job)
            finished = yield from BackgroundJob(self._client, verb, rest, upload, progress, self._facts).run()
            if finished:
                return
            self._check_after_loss(progress)
            self.progress.warn(f"{self.name} lost the job (did it restart?); resuming it")
            yield {"event": "restarted"}
        raise TargetError(f"{self.name} lost the job {RESTARTS} times", hint=f"edgekit target doctor {self.name}")

    def _check_after_loss(self, progress: JobProgress) -> None:
        """Raise :class:`TargetError` if resuming a lost job is pointless."""
        if self.facts()["free_bytes"] < FULL_BYTES:
            raise TargetError(
                f"the disk of {self.name} is full, so the job could not write its results",
                where=f"{self.name}:{self.config.folder}",
                hint="free some space there",
            )
        if not progress.resumable:
            raise TargetError(
                f"{self.name} lost the job (did it restart?) and has cooled down; a sustained run cannot be resumed",
                hint="rerun this command",
            )

    def facts(self) -> HostFacts:
        """Facts about the machine from the device program."""
        return self._client.ask(FACTS, NoRequest())["facts"]

    def ask(self, verb: Verb[Given, Answer], request: Given) -> Answer:
        """One request to the device program, and the event that answers it."""
        return self._client.ask(verb, request)

    def send(self, files: Mapping[str, str]) -> None:
        """Bring ``files`` (object name -> path here) to the target: only those that it lacks, each checked there.

        Raises :class:`TargetError` if there is not enough space, or if a file arrives damaged twice.
        """
        self._sender.send(files)

    def forget(self, names: Iterable[str]) -> None:
        """These objects are no longer on the target."""
        self._sender.forget(names)

    def close(self) -> None:
        """End whatever still runs there, let others measure, end the connection."""
        if self._started:
            with contextlib.suppress(EdgekitError, ConnectionLost):
                self._client.ask_once(RELEASE, NoRequest(), RELEASE_S)
            self._started = False
        self._client.close()

    def abort(self) -> None:
        """See :class:`edgekit.targets.base.Target`."""
        self._client.abort()

    def purge(self) -> list[str]:
        """Remove what edgekit put into the working folder, and the folder itself if nothing else is in it.

        Returns the names of what else is in it.
        """
        facts = self.facts()
        if facts["busy"]:
            raise TargetError(
                f"another benchmark is running on {self.name}, started by {facts['busy']}",
                hint="rerun this command once it has finished",
            )
        left = self._client.ask(PURGE, NoRequest())["left"]
        self._client.forget_program()
        return left
