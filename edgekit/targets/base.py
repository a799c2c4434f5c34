"""What a machine to measure on can do for the stages, whatever way it is reached."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any, Protocol

from edgekit.errors import EdgekitError, InputError, TargetError

Event = dict[str, Any]
Job = dict[str, Any]


class Target(Protocol):
    """Runs jobs of the device program. Paths in a job are those of this machine; the target brings the files there."""

    @property
    def name(self) -> str: ...

    @property
    def threads(self) -> tuple[int, ...] | None:
        """Thread counts to measure with where nobody says otherwise."""

    @property
    def runtime(self) -> str | None:
        """The runtime to use where nobody says otherwise."""

    def run(self, verb: str, job: Job) -> Iterator[Event]:
        """Do ``verb`` with ``job`` in a fresh process and give its lines as they come.

        The process ends with the iterator. Raises :class:`InputError` for a file that is no model or image,
        :class:`TargetError` where the target cannot be reached or lacks a runtime, :class:`EdgekitError` otherwise.
        """

    def abort(self) -> None:
        """From another thread: end the job that runs now, with an error in the thread that follows it."""

    def close(self) -> None:
        """Leave nothing running and let others measure."""


def failure(event: Event, *, install: str) -> EdgekitError:
    """The error that an ``error`` line of the device program means; ``install`` is the command that adds a runtime."""
    kind, reason, where = event["kind"], event["reason"], event.get("where")
    if kind in {"model", "image"}:
        return InputError(reason, where=where)
    if kind == "runtime":
        return TargetError(reason, where=where, hint=install)
    if kind == "memory":
        return EdgekitError(reason, where=where, hint="bench fewer files at once")
    if kind == "disk":
        return TargetError(f"the target cannot write: {reason}", where=where, hint="free some space there")
    if kind == "busy":
        return TargetError(reason, where=where, hint="run the same command again when it is free")
    return EdgekitError(reason, where=where)


def ended(code: int, opening: str | None, last_words: str) -> EdgekitError:
    """The device program ended without saying why: a runtime crashed, or the system killed it."""
    lines = last_words.strip().splitlines()
    last = f"; its last words: {lines[-1]}" if lines else ""
    if code == -signal.SIGKILL:
        return EdgekitError(
            "the measuring program was killed, probably for want of memory", hint="bench fewer files at once"
        )
    if code < 0 and opening is not None:
        return InputError(
            "the runtime crashed on this file: it is damaged, no model, or one that this runtime cannot run",
            where=opening,
        )
    return EdgekitError(f"the measuring program ended with code {code}{last}", where=opening)


def model_paths(job: Job) -> dict[str, str]:
    """The path of each model of a job by its key."""
    return {str(model.get("key", model["path"])): str(model["path"]) for model in job.get("models", [])}


def opening_path(job: Job, key: str) -> str:
    """The file that an ``opening`` line is about."""
    return model_paths(job).get(key.removesuffix("#again"), key)
