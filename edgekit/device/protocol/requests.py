"""Requests about files, packages and background jobs, and the events that answer them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypedDict, Union

from .events import DoneEvent, ErrorEvent, JobEvent
from .jobs import AnyJob


class Envelope(TypedDict):
    """The line that carries a request. A session is one open target; ``owner`` names it to other people."""

    session: str
    owner: str
    request: Mapping[str, object]


class NoRequest(TypedDict):
    """For requests that consist of their verb only."""


class StartRequest(TypedDict):
    """Run ``verb`` with ``job`` in the background, as the job ``id``."""

    id: str
    verb: str
    job: AnyJob


class FollowRequest(TypedDict):
    """Events of the job ``id`` after its first ``skip_lines`` lines."""

    id: str
    skip_lines: int


class HaveRequest(TypedDict):
    """Which of these ``objects`` (names in the store) does the device have?"""

    objects: list[str]


class SizedObject(TypedDict):
    """A file that follows in the stream: its name in the store and its length."""

    name: str
    size: int


class PutRequest(TypedDict):
    """The files that follow in the stream, in this order."""

    objects: list[SizedObject]


class FetchRequest(TypedDict):
    """Make the environment ``id`` of ``requirements`` (as pip reads them)."""

    id: str
    requirements: list[str]


class InstallRequest(FetchRequest):
    """``wheels``: the object that holds each wheel, by the wheel's file name."""

    wheels: dict[str, str]


class PlaceRequest(TypedDict):
    """Copy ``files`` (file name -> object) into ``folder``; ``environment``: the packages to link, or None.

    ``update``: ``folder`` has to be a deployment, and is replaced only by files that give their golden outputs.
    """

    folder: str
    files: dict[str, str]
    environment: str | None
    update: bool


class _InstalledEnvironment(TypedDict):
    id: str
    python: list[str]
    requirements: list[str]
    source: str
    """``host`` or ``device``: who downloaded the packages."""


class InstalledEnvironment(_InstalledEnvironment, total=False):
    """``environment.json``: the packages that setup put on a device."""

    wheels: list[str]


class HostFacts(TypedDict):
    """Facts that a host needs before it installs anything on a device. ``machine`` and ``bits`` are the Python's."""

    system: str
    machine: str
    bits: int
    python: list[int]
    implementation: str
    executable: str
    libc: str
    libc_version: str
    glibcxx: str | None
    free_bytes: int
    folder: str
    time_unix_s: float
    host_name: str
    installed: dict[str, str]
    environment: InstalledEnvironment | None
    busy: str | None
    """Who started the benchmark that is running there, or None."""


class FactsEvent(TypedDict):
    event: Literal["facts"]
    facts: HostFacts


class HaveEvent(TypedDict):
    """The objects that are ``missing`` or damaged, and the space for more."""

    event: Literal["have"]
    missing: list[str]
    free_bytes: int


class StoredEvent(TypedDict):
    """A file arrived. If it is ``corrupt``, its bytes are not those that were sent, and it was removed."""

    event: Literal["stored", "corrupt"]
    name: str


class InstalledEvent(TypedDict):
    event: Literal["installed"]
    id: str


class PlacedEvent(TypedDict):
    """The files are in ``folder``. ``replaced``: the SHA-256 of the model that was there before, or None."""

    event: Literal["placed"]
    folder: str
    replaced: str | None


class RejectedEvent(TypedDict):
    """The new files did not pass their check in ``folder``, whose earlier files are in use as before."""

    event: Literal["rejected"]
    folder: str
    reason: str


PlaceEvent = Union[PlacedEvent, RejectedEvent]


class ReleasedEvent(TypedDict):
    event: Literal["released"]


class PurgedEvent(TypedDict):
    """``left``: what remains in the working folder, because edgekit did not create it."""

    event: Literal["purged"]
    left: list[str]


class ExitEvent(TypedDict):
    """The process of a background job ended with ``code``."""

    event: Literal["exit"]
    code: int


class BrokenEvent(TypedDict):
    """A line that is not complete: the program was killed while writing it."""

    event: Literal["broken"]


JobLine = Union[JobEvent, DoneEvent, ErrorEvent, ExitEvent, BrokenEvent]


class AliveEvent(TypedDict):
    """The program still works on a request. It says so every few seconds, so that silence means a broken link."""

    event: Literal["alive"]


class LineEvent(TypedDict):
    """The next line of a background job. ``number`` counts its lines from 0."""

    event: Literal["line"]
    number: int
    line: JobLine


class StderrEvent(TypedDict):
    """The end of what a background job wrote to stderr."""

    event: Literal["stderr"]
    text: str


class LostEvent(TypedDict):
    """A background job ended without an exit line, because the device restarted or something killed the job."""

    event: Literal["lost"]


FollowEvent = Union[LineEvent, StderrEvent, LostEvent]


class HelloEvent(TypedDict):
    """The answer of a bare Python, before the device program arrives. ``program``: the name of the one found."""

    event: Literal["hello"]
    version: list[int]
    program: str
