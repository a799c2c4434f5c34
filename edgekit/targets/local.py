"""This machine as a target: the device program in new processes of the same Python."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from edgekit.device.protocol.events import JobEvent
from edgekit.device.protocol.jobs import AnyJob
from edgekit.device.protocol.verbs import Answer, Given, Verb
from edgekit.device.runtime_table import RUNTIMES
from edgekit.targets.base import crash, failure, model_path
from edgekit.targets.job_events import JobAnswers, ModelFacts

LOCAL = "local"


PACKAGE_ROOT = Path(__file__).resolve().parents[2]
"""The folder that contains the package. The device program starts there, so that none of the user's files shadows a
module."""


@dataclass(frozen=True)
class LocalTarget:
    """Runs jobs of the device program here."""

    name: str = LOCAL
    threads: tuple[int, ...] | None = None
    runtime: str | None = None
    facts: ModelFacts = field(default_factory=ModelFacts, compare=False, repr=False)
    """What its answers said about model files so far."""

    def run(self, verb: Verb[Given, Answer], job: Given) -> Iterator[Answer]:
        """See :class:`edgekit.targets.base.Target`. Paths in the job are absolute."""
        with tempfile.TemporaryFile() as stderr:
            command = [sys.executable, "-m", "edgekit.device", verb]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, cwd=PACKAGE_ROOT
            )
            try:
                yield from cast("Iterator[Answer]", _events(process, verb, cast("AnyJob", job), stderr, self.facts))
            finally:
                _stop(process)

    def abort(self) -> None:
        """Nothing to do: the job ends with the thread that follows it."""

    def close(self) -> None:
        """Nothing to do: no process outlives :meth:`run`."""


def _install(job: AnyJob) -> str:
    """The command that installs the runtimes of a job."""
    names = {entry.get("runtime") for entry in job.get("models", ())}
    extras = {RUNTIMES[name].extra for name in names if name is not None and name in RUNTIMES} or {"bench"}
    return f"pip install 'edgekit[{','.join(sorted(extras))}]'"


def _events(
    process: subprocess.Popen[bytes], verb: str, job: AnyJob, stderr: IO[bytes], facts: ModelFacts
) -> Iterator[JobEvent]:
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # it ended before it read the job; its exit code and stderr say why
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()
    opening: str | None = None
    answers = JobAnswers(LOCAL, verb, job, facts)
    for line in process.stdout:
        if not line.endswith(b"\n"):  # it was killed while writing, and its exit code says how
            break
        event = answers.parsed(line)
        if event["event"] == "opening":
            opening = model_path(job, event["key"])
        elif event["event"] == "error":
            raise failure(event, install=_install(job))
        elif event["event"] == "done":
            process.wait()
            return
        else:
            opening = None
            yield event
    code = process.wait()
    stderr.seek(0)
    raise crash(code, opening, stderr.read().decode(errors="replace"))


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the program if it still runs (after an error or an interrupt)."""
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
