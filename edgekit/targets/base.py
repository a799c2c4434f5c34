"""The interface of a target, however it is reached."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Protocol

from edgekit.device.jobs import entry_key
from edgekit.device.plain_text import visible
from edgekit.device.protocol import model_key
from edgekit.device.protocol.events import ErrorEvent
from edgekit.device.protocol.jobs import AnyJob
from edgekit.device.protocol.verbs import Answer, Given, Verb
from edgekit.errors import EdgekitError, InputError, TargetError

WEB = "web"
"""The target that is Chromium on this machine."""

WEB_FORMAT = "onnx"
"""The format of the files that it runs."""


class Target(Protocol):
    """Runs jobs of the device program. Paths in a job are those of this machine; the target copies the files over."""

    @property
    def name(self) -> str: ...

    @property
    def threads(self) -> tuple[int, ...] | None:
        """The thread counts to measure with, unless the user gives others."""

    @property
    def runtime(self) -> str | None:
        """The runtime to use, unless the user gives another."""

    def run(self, verb: Verb[Given, Answer], job: Given) -> Iterator[Answer]:
        """Run ``verb`` with ``job`` in a new process and yield its events as they arrive.

        The process ends with the iterator. ``opening``, ``done`` and ``error`` events are handled here. Raises
        :class:`InputError` for a file that is not a model or an image, :class:`TargetError` if the target cannot be
        reached or lacks a runtime, :class:`EdgekitError` otherwise.
        """

    def abort(self) -> None:
        """From another thread: end the current job, with an error in the thread that follows it."""

    def close(self) -> None:
        """End whatever still runs there, and let others measure."""


def failure(event: ErrorEvent, *, install: str) -> EdgekitError:
    """The error that an ``error`` event describes. ``install`` is the command that adds a runtime."""
    kind, reason, where = event["kind"], visible(" ".join(event["reason"].split())), event["where"]
    if kind in {"model", "image"}:
        return InputError(reason, where=where)
    if kind == "runtime":
        return TargetError(reason, where=where, hint=install)
    if kind == "memory":
        return EdgekitError(reason, where=where, hint="bench fewer files at once")
    if kind == "disk":
        return TargetError(f"the target cannot write to its disk: {reason}", where=where, hint="free some space there")
    if kind == "busy":
        return TargetError(reason, where=where, hint="rerun this command once the target is free")
    return EdgekitError(reason, where=where)


def crash(code: int, opening: str | None, stderr: str) -> EdgekitError:
    """The error for a device program that ended without saying why: a runtime crashed, or the system killed it.

    ``opening``: the model file that it was opening then.
    """
    lines = stderr.strip().splitlines()
    if code == -signal.SIGKILL:
        return EdgekitError(
            "the device program was killed, probably because memory ran out", hint="bench fewer files at once"
        )
    if code in (-signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP):
        return EdgekitError("the device program was ended by somebody else", hint="rerun this command")
    if code < 0 and opening is not None:
        return InputError(
            "the runtime crashed on this file: it is damaged, not a model, or not supported by this runtime",
            where=opening,
        )
    last = f": {visible(lines[-1])}" if lines else ""
    return EdgekitError(f"the device program ended with exit code {code}{last}", where=opening)


def model_path(job: AnyJob, key: str) -> str:
    """The file that an event about the model ``key`` is about."""
    models = job.get("models", [])
    return {entry_key(entry): str(entry["path"]) for entry in models}.get(model_key(key), key)
