"""A machine over SSH: the device program and its files are sent once, jobs outlive the connection."""

from __future__ import annotations

import contextlib
import getpass
import json
import platform
import time
import uuid
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

from edgekit.errors import EdgekitError, TargetError
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.base import Event, Job, ended, failure, opening_path
from edgekit.targets.bootstrap import bring_program, read_events
from edgekit.targets.config import TargetConfig
from edgekit.targets.connection import Connection, ConnectionLost, RemoteFailure, folder, quoted
from edgekit.targets.device_program import program_name
from edgekit.targets.resume import Progressed
from edgekit.targets.upload import Hashes, Shipment, content, shipment

RECONNECT_S = 300
RESTARTS = 5
"""How often one job is begun again after the device lost it."""

FULL_BYTES = 1 << 20


class SshTarget:
    """One machine of ``targets.toml``. Not to be shared between threads."""

    def __init__(self, config: TargetConfig, progress: Progress = SILENT) -> None:
        self.config = config
        self.progress = progress
        self._connection = Connection(config)
        self._session = uuid.uuid4().hex
        self._owner = f"{getpass.getuser()}@{platform.node()} (since {time.strftime('%H:%M')})"
        self._ready = False
        self._started = False
        self._aborted = False
        self._there: set[str] = set()
        self._hashes = Hashes()

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def threads(self) -> tuple[int, ...] | None:
        return self.config.threads

    @property
    def runtime(self) -> str | None:
        return self.config.runtime

    def run(self, verb: str, job: Job) -> Iterator[Event]:
        """See :class:`edgekit.targets.base.Target`. A lost connection is made again and the job followed on."""
        sent = shipment(job, self._hashes)
        self.send(sent.files)
        progressed = Progressed(verb, sent.job)
        for _ in range(RESTARTS):
            finished = yield from self._run_once(verb, progressed.rest(sent.job), sent, progressed)
            if finished:
                return
            if self.facts()["free_bytes"] < FULL_BYTES:
                raise TargetError(
                    f"the disk of {self.name} is full: its lines could not be written",
                    where=f"{self.name}:{self.config.folder}",
                    hint="free some space there",
                )
            if not progressed.resumable:
                raise TargetError(
                    f"{self.name} lost the job (was it restarted?), and has cooled down: a sustained run is not pieced "
                    "together",
                    hint="run the same command again",
                )
            self.progress.warn(f"{self.name} lost the job (was it restarted?); the rest of it is started again")
            yield {"event": "restarted"}
        raise TargetError(f"{self.name} lost the job again and again", hint=f"edgekit target doctor {self.name}")

    def facts(self) -> Event:
        """The ``facts`` line of the device program."""
        for event in self.request("facts", {}):
            if event["event"] == "facts":
                return event
        raise TargetError(f"{self.name} did not answer", hint=f"edgekit target doctor {self.name}")

    def request(self, verb: str, request: dict[str, Any], body: Iterable[bytes] = ()) -> Iterator[Event]:
        """One request to the device program: its lines, up to the end.

        Raises the error of an ``error`` line, and :class:`TargetError` where the connection breaks.
        """
        with self._reported():
            yield from self._request(verb, request, body)

    def _request(self, verb: str, request: dict[str, Any], body: Iterable[bytes] = ()) -> Generator[Event, None, None]:
        """The same; raises :class:`ConnectionLost` where a connection that was made breaks."""
        self._prepare()
        line = json.dumps({**request, "session": self._session, "owner": self._owner}).encode() + b"\n"
        words = ""
        try:
            with contextlib.closing(self._connection.stream(self._script(verb), _joined(line, body))) as stream:
                for event in read_events(stream):
                    if event["event"] == "error":
                        raise failure(event, install=f"edgekit target setup {self.name}")
                    if event["event"] == "done":
                        return
                    yield event
        except RemoteFailure as error:
            words = error.last
        raise TargetError(
            f"the device program on {self.name} ended without an answer{f': {words}' if words else ''}",
            hint=f"edgekit target doctor {self.name}",
        )

    def send(self, files: dict[str, str]) -> None:
        """Bring ``files`` (object name -> path here) to the target: only what is not there, each checked there.

        Raises :class:`TargetError` where there is no room, or where a file arrives damaged twice.
        """
        for attempt in range(2):
            wanted = sorted(set(files) - self._there)
            if not wanted:
                return
            missing, free = self._missing(wanted)
            self._there |= set(wanted) - set(missing)
            sizes = {name: Path(files[name]).stat().st_size for name in missing}
            needed = sum(sizes.values())
            if needed > free:
                raise TargetError(
                    f"{needed / 1e6:.1f} MB are to be sent and {self.name} has {max(0, free) / 1e6:.1f} MB to spare",
                    where=f"{self.name}:{self.config.folder}",
                    hint="free some space there, or give the target another folder",
                )
            if missing:
                self._put(sizes, files)
            damaged = set(files) - self._there
            if damaged and attempt == 0:
                self.progress.warn(f"{len(damaged)} of {len(missing)} files arrived damaged at {self.name}; sent again")
        if set(files) - self._there:
            raise TargetError(
                f"files arrive damaged at {self.name} again and again",
                where=files[min(set(files) - self._there)],
                hint="check the memory card and the network of the device",
            )

    def forget(self, names: Iterable[str]) -> None:
        """These objects are no longer on the target."""
        self._there -= set(names)

    def close(self) -> None:
        """End what still runs, let others measure, end the connection."""
        if self._started:
            with contextlib.suppress(EdgekitError):
                for _ in self.request("release", {}):
                    pass
            self._started = False
        self._connection.close()

    def abort(self) -> None:
        """See :class:`edgekit.targets.base.Target`."""
        self._aborted = True
        self._connection.interrupt()

    def purge(self) -> list[str]:
        """Remove what edgekit made in the working folder, and the folder itself where nothing else is in it.

        The names of what else is in it.
        """
        facts = self.facts()
        if facts["busy"]:
            raise TargetError(f"{facts['busy']} is measuring on {self.name} now", hint="remove it afterwards")
        left: list[str] = []
        for event in self.request("purge", {}):
            if event["event"] == "purged":
                left = event["left"]
        self._ready = False
        return left

    def _run_once(self, verb: str, job: Job, sent: Shipment, progressed: Progressed) -> Generator[Event, None, bool]:
        """Start the job and follow it; the generator's value is whether it came to its end."""
        request: dict[str, Any] = {"id": uuid.uuid4().hex, "verb": verb, "job": job}
        lines, code, opening = 0, 1, None
        command = "start"
        self._started = True
        while True:
            try:
                with contextlib.closing(self._request(command, request)) as events:
                    for event in events:
                        if event["event"] == "lost":
                            return False
                        if event["event"] == "stderr":
                            raise ended(code, opening, event["text"])
                        if event["event"] != "line":
                            continue
                        lines += 1
                        line = event["line"]
                        if line["event"] == "done":
                            return True
                        if line["event"] == "exit":
                            code = line["code"]
                        elif line["event"] == "opening":
                            opening = sent.here(opening_path(sent.job, line["key"]))
                        elif line["event"] != "broken" and progressed.is_new(line):
                            opening = None
                            yield self._told(line, sent)
                raise TargetError(f"{self.name} stopped telling about its job")
            except ConnectionLost as lost:
                self._reconnect(lost)
                command, request = "follow", {"id": request["id"], "from": lines}

    def _told(self, line: Event, sent: Shipment) -> Event:
        """A line of the job with the paths of this machine; an ``error`` line is raised."""
        if line["event"] == "error":
            raise failure({**line, "where": sent.here(line["where"])}, install=f"edgekit target setup {self.name}")
        return {**line, "file": sent.order[line["number"]]} if "file" in line else line

    def _reconnect(self, lost: ConnectionLost) -> None:
        """Try again with growing pauses; raises what a person is to be told when it stays away."""
        if self._aborted:
            raise EdgekitError("interrupted", where=f"target {self.name}")
        self.progress.warn(f"the connection to {self.name} was lost; it is made again, the measurement goes on there")
        end, pause = time.monotonic() + RECONNECT_S, 1.0
        while time.monotonic() < end:
            time.sleep(pause)
            pause = min(15.0, 2 * pause)
            self._ready = False
            self._connection.close()
            try:
                self._prepare(again=True)
            except ConnectionLost:
                continue
            return
        raise lost.error

    def _missing(self, names: list[str]) -> tuple[list[str], int]:
        for event in self.request("have", {"objects": names}):
            if event["event"] == "have":
                return event["missing"], event["free_bytes"]
        raise TargetError(f"{self.name} did not answer")

    def _put(self, sizes: dict[str, int], files: dict[str, str]) -> None:
        objects = [{"name": name, "size": size} for name, size in sizes.items()]
        total = sum(sizes.values())
        body = (block for name, size in sizes.items() for block in content(files[name], size))
        with self.progress.bar(f"send {total / 1e6:.1f} MB", len(sizes)) as bar:
            for event in self.request("put", {"objects": objects}, body):
                if event["event"] == "stored":
                    self._there.add(event["name"])
                    bar.advance()

    def _prepare(self, *, again: bool = False) -> None:
        """Connect, and bring the device program there where it is not yet."""
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
        python = folder(self.config.python)
        return f"cd {folder(self.config.folder)} && exec {python} -s objects/{program_name()} {quoted(verb)}"

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        """A connection that breaks in a request that is not followed on is an error like any other."""
        try:
            yield
        except ConnectionLost as lost:
            raise lost.error from None
        except RemoteFailure as error:
            raise TargetError(f"a command failed on {self.name}: {error.last}") from None


def _joined(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
