"""Requests to the device program on a machine that is reached over SSH."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import platform
import time
import uuid
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import cast

from edgekit.device.protocol.events import ErrorEvent
from edgekit.device.protocol.requests import Envelope, NoRequest
from edgekit.device.protocol.verbs import RELEASE, Answer, Given, Verb
from edgekit.device.working_folder import OBJECTS
from edgekit.errors import EdgekitError, TargetError
from edgekit.support.progress import Progress
from edgekit.targets.base import failure
from edgekit.targets.bootstrap import bring_program, event_lines
from edgekit.targets.config import TargetConfig
from edgekit.targets.connection import Connection, ConnectionLost, RemoteFailure, quoted, shell_path
from edgekit.targets.device_program import program_name
from edgekit.targets.request_events import RequestAnswers

RECONNECT_S = 300
TRIES = 3
"""How many times a request is made over a connection that breaks again and again."""


class DeviceClient:
    """One session with one device. Not to be shared between threads, except for :meth:`abort`."""

    def __init__(self, config: TargetConfig, progress: Progress) -> None:
        self.config = config
        self.progress = progress
        self._connection = Connection(config)
        self._session = uuid.uuid4().hex
        self._owner = f"{_user()}@{platform.node()} (since {time.strftime('%H:%M')})"
        self._ready = False
        self._aborted = False
        self._connection.leave_with(self._script(RELEASE), self._envelope(NoRequest()))

    @property
    def name(self) -> str:
        return self.config.name

    def ask(self, verb: Verb[Given, Answer], request: Given) -> Answer:
        """One request that can be repeated without harm, and the event that answers it. Raises as :meth:`call`.

        If the connection breaks, it is restored, and the request is made again.
        """
        for _ in range(TRIES - 1):
            try:
                return self._answer(self.stream(verb, request))
            except ConnectionLost as lost:
                self.reconnect(lost)
        return self._answer(self.call(verb, request))

    def ask_once(self, verb: Verb[Given, Answer], request: Given, silence_s: int) -> Answer:
        """The same without a second try, for the end of a session. Raises as :meth:`stream`."""
        return self._answer(self.stream(verb, request, silence_s=silence_s))

    def _answer(self, events: Generator[Answer, None, None]) -> Answer:
        with contextlib.closing(events):
            found = list(events)
        if not found:
            raise TargetError(f"{self.name} did not answer", hint=f"edgekit target doctor {self.name}")
        return found[-1]

    def call(
        self, verb: Verb[Given, Answer], request: Given, body: Iterable[bytes] = ()
    ) -> Generator[Answer, None, None]:
        """One request, followed by the bytes of ``body``. Yields its events.

        Raises the error that an ``error`` event describes, and :class:`TargetError` if the connection breaks or if an
        answer is invalid.
        """
        try:
            yield from self.stream(verb, request, body)
        except ConnectionLost as lost:
            raise lost.error from None

    def stream(
        self,
        verb: Verb[Given, Answer],
        request: Given,
        body: Iterable[bytes] = (),
        *,
        silence_s: int | None = None,
    ) -> Generator[Answer, None, None]:
        """The same, but raises :class:`ConnectionLost` if an established connection breaks: see :meth:`reconnect`."""
        if self._aborted and verb != RELEASE:
            raise EdgekitError("interrupted", where=f"target {self.name}")
        self._prepare()
        sent = _joined(self._envelope(request), body)
        answers = RequestAnswers(self.name, verb, request)
        last_words = ""
        try:
            with contextlib.closing(self._connection.stream(self._script(verb), sent, silence_s=silence_s)) as lines:
                heard = time.monotonic()
                for line in event_lines(lines, self.name):
                    event = answers.parsed(line)
                    if event["event"] == "error":
                        raise failure(cast("ErrorEvent", event), install=f"edgekit target setup {self.name}")
                    if event["event"] == "done":
                        return
                    if event["event"] == "alive":
                        self._check_progress(heard)
                        continue
                    yield cast("Answer", event)
                    heard = time.monotonic()
        except RemoteFailure as error:
            last_words = f": {error.last}"
        raise TargetError(
            f"the device program on {self.name} ended without an answer{last_words}",
            hint=f"edgekit target doctor {self.name}",
        )

    def reconnect(self, lost: ConnectionLost, *, measuring: bool = False) -> None:
        """Try again with growing pauses. Raises the error of ``lost`` if the target stays away.

        ``measuring``: a job runs there meanwhile.
        """
        if self._aborted:
            raise EdgekitError("interrupted", where=f"target {self.name}")
        meanwhile = " while the measurement continues there" if measuring else ""
        self.progress.warn(f"lost the connection to {self.name}; reconnecting{meanwhile}")
        end, pause = time.monotonic() + RECONNECT_S, 1.0
        while time.monotonic() < end:
            time.sleep(pause)
            pause = min(15.0, 2 * pause)
            self._ready = False
            self._connection.close()
            with contextlib.suppress(ConnectionLost):
                self._prepare(again=True)
                return
        raise lost.error

    def forget_program(self) -> None:
        """Note that the device no longer has the program; the next request copies it again."""
        self._ready = False

    def abort(self) -> None:
        """From another thread: break the connection for good."""
        self._aborted = True
        self._connection.interrupt()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _prepare(self, *, again: bool = False) -> None:
        """Connect, and bring the device program there unless it is there already.

        A connection that is cut in the middle of this is tried again, unlike one to a machine that is not there.
        """
        if self._ready:
            return
        for attempt in range(1 if again else TRIES):
            try:
                bring_program(self._connection, self.config)
            except ConnectionLost as lost:
                if again:
                    raise
                if not lost.brief or attempt == TRIES - 1 or self._aborted:
                    raise lost.error from None
                self.progress.warn(f"the connection to {self.name} was cut; trying again")
                self._connection.close()
                time.sleep(1 << attempt)
            else:
                self._ready = True
                return

    def _check_progress(self, heard: float) -> None:
        """Raise :class:`TargetError` if the last event, at ``heard``, was too long ago."""
        limit_s = self.config.limits.job_silence_s
        if time.monotonic() - heard > limit_s:
            raise TargetError(
                f"{self.name} answers, but its job has not reported anything for {limit_s} seconds",
                where=f"target {self.name}",
                hint="check what it is doing there; for a slower device, raise job_silence_s of this target in "
                "targets.toml",
            )

    def _envelope(self, request: Mapping[str, object]) -> bytes:
        envelope: Envelope = {"session": self._session, "owner": self._owner, "request": request}
        return json.dumps(envelope).encode() + b"\n"

    def _script(self, verb: str) -> str:
        python = shell_path(self.config.python)
        return f"cd {shell_path(self.config.folder)} && exec {python} -s {OBJECTS}/{program_name()} {quoted(verb)}"


def _joined(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # the user id has no account, as in some containers
        return f"user {os.getuid()}"
