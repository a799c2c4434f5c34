"""Requests to the device program on a machine that is reached over SSH."""

from __future__ import annotations

import contextlib
import getpass
import json
import platform
import time
import uuid
from collections.abc import Generator, Iterable, Iterator
from typing import cast

from edgekit.device.protocol.events import ErrorEvent
from edgekit.device.protocol.requests import Envelope
from edgekit.device.protocol.verbs import Answer, Given, Verb
from edgekit.device.working_folder import OBJECTS
from edgekit.errors import EdgekitError, TargetError
from edgekit.support.progress import Progress
from edgekit.targets.base import failure
from edgekit.targets.bootstrap import bring_program, read_events
from edgekit.targets.config import TargetConfig
from edgekit.targets.connection import Connection, ConnectionLost, RemoteFailure, quoted, shell_path
from edgekit.targets.device_program import program_name

RECONNECT_S = 300


class DeviceClient:
    """One session with one device. Not to be shared between threads, except for :meth:`abort`."""

    def __init__(self, config: TargetConfig, progress: Progress) -> None:
        self.config = config
        self.progress = progress
        self._connection = Connection(config)
        self._session = uuid.uuid4().hex
        self._owner = f"{getpass.getuser()}@{platform.node()} (since {time.strftime('%H:%M')})"
        self._ready = False
        self._aborted = False

    @property
    def name(self) -> str:
        return self.config.name

    def ask(self, verb: Verb[Given, Answer], request: Given) -> Answer:
        """One request, and the event that answers it. Raises as :meth:`call`."""
        with contextlib.closing(self.call(verb, request)) as events:
            found = list(events)
        if not found:
            raise TargetError(f"{self.name} did not answer", hint=f"edgekit target doctor {self.name}")
        return found[-1]

    def call(
        self, verb: Verb[Given, Answer], request: Given, body: Iterable[bytes] = ()
    ) -> Generator[Answer, None, None]:
        """One request, followed by the bytes of ``body``. Yields its events.

        Raises the error that an ``error`` event describes, and :class:`TargetError` if the connection breaks.
        """
        try:
            yield from self.stream(verb, request, body)
        except ConnectionLost as lost:
            raise lost.error from None

    def stream(
        self, verb: Verb[Given, Answer], request: Given, body: Iterable[bytes] = ()
    ) -> Generator[Answer, None, None]:
        """The same, but raises :class:`ConnectionLost` if an established connection breaks: see :meth:`reconnect`."""
        self._prepare()
        envelope: Envelope = {"session": self._session, "owner": self._owner, "request": request}
        sent = _joined(json.dumps(envelope).encode() + b"\n", body)
        last_words = ""
        try:
            with contextlib.closing(self._connection.stream(self._script(verb), sent)) as lines:
                for event in read_events(lines):
                    if event["event"] == "error":
                        raise failure(cast("ErrorEvent", event), install=f"edgekit target setup {self.name}")
                    if event["event"] == "done":
                        return
                    yield cast("Answer", event)
        except RemoteFailure as error:
            last_words = f": {error.last}"
        raise TargetError(
            f"the device program on {self.name} ended without an answer{last_words}",
            hint=f"edgekit target doctor {self.name}",
        )

    def reconnect(self, lost: ConnectionLost) -> None:
        """Try again with growing pauses. Raises the error of ``lost`` if the target stays away."""
        if self._aborted:
            raise EdgekitError("interrupted", where=f"target {self.name}")
        self.progress.warn(f"lost the connection to {self.name}; reconnecting while the measurement continues there")
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
        """Connect, and copy the device program to the device if it is missing."""
        if self._ready:
            return
        try:
            bring_program(self._connection, self.config)
        except ConnectionLost as lost:
            if again:
                raise
            raise lost.error from None
        self._ready = True

    def _script(self, verb: str) -> str:
        python = shell_path(self.config.python)
        return f"cd {shell_path(self.config.folder)} && exec {python} -s {OBJECTS}/{program_name()} {quoted(verb)}"


def _joined(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
