"""This machine as a target: the device program as fresh processes of the same Python."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgekit.errors import EdgekitError, InputError, TargetError

Event = dict[str, Any]

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
"""Folder that holds the package: the device program starts there, so that no file of the user shadows a module."""


@dataclass(frozen=True)
class LocalTarget:
    """Runs jobs of the device program here."""

    name: str = "local"

    def run(self, verb: str, job: dict[str, Any]) -> Iterator[Event]:
        """Start ``verb`` with ``job`` in a fresh process and give its lines as they come.

        Paths in the job are absolute. The process ends with the iterator. Raises :class:`InputError` for a file that
        is no model or image, :class:`TargetError` where no runtime is installed, :class:`EdgekitError` otherwise.
        """
        with tempfile.TemporaryFile() as stderr:
            command = [sys.executable, "-m", "edgekit.device", verb]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, cwd=PACKAGE_ROOT
            )
            try:
                yield from _events(process, job, stderr)
            finally:
                _stop(process)


def _events(process: subprocess.Popen[bytes], job: dict[str, Any], stderr: IO[bytes]) -> Iterator[Event]:
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # it ended before it read the job; its exit code and stderr say why
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()
    opening: str | None = None
    for line in process.stdout:
        event: Event = json.loads(line)
        if event["event"] == "opening":
            opening = _path_of(job, event["key"])
        elif event["event"] == "error":
            raise failure(event)
        elif event["event"] == "done":
            process.wait()
            return
        else:
            opening = None
            yield event
    raise _died(process.wait(), opening, stderr)


def failure(event: Event) -> EdgekitError:
    """The error that an ``error`` line of the device program means."""
    kind, reason, where = event["kind"], event["reason"], event.get("where")
    if kind in {"model", "image"}:
        return InputError(reason, where=where)
    if kind == "runtime":
        return TargetError(reason, where=where, hint="pip install 'edgekit[bench]'")
    if kind == "memory":
        return EdgekitError(reason, where=where, hint="bench fewer files at once")
    return EdgekitError(reason, where=where)


def _died(code: int, opening: str | None, stderr: IO[bytes]) -> EdgekitError:
    """The program ended without saying why: a runtime crashed, or the system killed it."""
    stderr.seek(0)
    lines = stderr.read().decode(errors="replace").strip().splitlines()
    last = f"; its last words: {lines[-1]}" if lines else ""
    if code == -signal.SIGKILL:
        return EdgekitError(
            "the measuring program was killed, probably for want of memory", hint="bench fewer files at once"
        )
    if code < 0 and opening is not None:
        return InputError("the runtime crashed while opening this file: it is damaged or no model", where=opening)
    return EdgekitError(f"the measuring program ended with code {code}{last}", where=opening)


def _path_of(job: dict[str, Any], key: str) -> str:
    paths = {str(model.get("key", model["path"])): str(model["path"]) for model in job.get("models", [])}
    return paths.get(key.removesuffix("#again"), key)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the program where it still runs (an error or an interrupt here)."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def get_target(name: str) -> LocalTarget:
    """The target called ``name``; :class:`TargetError` where there is none."""
    if name != "local":
        raise TargetError(
            f"no target is called {name!r}: only 'local', this machine, is known so far", hint="leave --target out"
        )
    return LocalTarget()
