"""This machine as a target: the device program as fresh processes of the same Python."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgekit.targets.base import Event, Job, ended, failure, opening_path

LOCAL = "local"

INSTALL = "pip install 'edgekit[bench]'"

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
"""Folder that holds the package: the device program starts there, so that no file of the user shadows a module."""


@dataclass(frozen=True)
class LocalTarget:
    """Runs jobs of the device program here."""

    name: str = LOCAL
    threads: tuple[int, ...] | None = None
    runtime: str | None = None

    def run(self, verb: str, job: Job) -> Iterator[Event]:
        """See :class:`edgekit.targets.base.Target`. Paths in the job are absolute."""
        with tempfile.TemporaryFile() as stderr:
            command = [sys.executable, "-m", "edgekit.device", verb]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, cwd=PACKAGE_ROOT
            )
            try:
                yield from _events(process, job, stderr)
            finally:
                _stop(process)

    def abort(self) -> None:
        """Its job ends with the thread that follows it."""

    def close(self) -> None:
        """Nothing outlives :meth:`run` here."""


def _events(process: subprocess.Popen[bytes], job: Job, stderr: IO[bytes]) -> Iterator[Event]:
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # it ended before it read the job; its exit code and stderr say why
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()
    opening: str | None = None
    for line in process.stdout:
        event: Event = json.loads(line)
        if event["event"] == "opening":
            opening = opening_path(job, event["key"])
        elif event["event"] == "error":
            raise failure(event, install=INSTALL)
        elif event["event"] == "done":
            process.wait()
            return
        else:
            opening = None
            yield event
    code = process.wait()
    stderr.seek(0)
    raise ended(code, opening, stderr.read().decode(errors="replace"))


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
