"""Running one job of a study in its own process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from edgekit.errors import EdgekitError, InputError
from edgekit.study.jobs import Job, JobSettings, Outcome

_ENDING_SECONDS = 20
"""How long a process may take to end after it was asked to. A training writes its checkpoint in that time."""


_RUNNING: set[subprocess.Popen[str]] = set()
"""An interrupt reaches the main thread only, which ends the processes that other threads wait for."""


class JobFailed(EdgekitError):
    """A job of the study failed, with the message of its process.

    ``retry``: another attempt may succeed. ``code``: the exit code that the command would have had by itself.
    """

    def __init__(
        self, problem: str, *, where: str | None = None, hint: str | None = None, retry: bool = True, code: int = 1
    ) -> None:
        super().__init__(problem, where=where, hint=hint)
        self.retry = retry
        self.code = code


def run_job(job: Job, *, quiet: bool, environment: Mapping[str, str] | None = None) -> Outcome:
    """Run ``job`` in its own process and return what it reports.

    Its progress goes to this process's stderr. Raises :class:`JobFailed` with the job's own message, and
    :class:`KeyboardInterrupt` if it was interrupted. When this process is interrupted, so is the job.
    """
    with tempfile.TemporaryDirectory(prefix="edgekit-job-") as folder:
        settings = Path(folder) / "settings.json"
        JobSettings(job=job, quiet=quiet).write(settings)
        code, output = _run_process(settings, {**os.environ, **(environment or {})})
    return _outcome(job, code, output)


def _run_process(settings: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit code and the standard output of the process that does the job in ``settings``."""
    with subprocess.Popen(
        [sys.executable, "-m", "edgekit.cli.supervised", str(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,  # Ctrl-C reaches the study alone, which ends this process in its own way
    ) as process:
        _RUNNING.add(process)
        try:
            assert process.stdout is not None
            output = process.stdout.read()
            return process.wait(), output
        except BaseException:
            _end(process)
            raise
        finally:
            _RUNNING.discard(process)


def end_jobs() -> None:
    """Stop every running job, also those that other threads wait for; returns when they have ended."""
    for process in list(_RUNNING):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    for process in list(_RUNNING):
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Ask the process to stop, so that a training can be resumed; kill it when it takes too long."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _outcome(job: Job, code: int, output: str) -> Outcome:
    if code == 130:
        raise KeyboardInterrupt
    try:
        outcome = Outcome.model_validate_json(output.rstrip("\n").rpartition("\n")[2])  # a library may print too
    except ValidationError:
        reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code} and no result"
        hint = "it probably ran out of memory; --jobs 1 needs the least" if code == -signal.SIGKILL else None
        raise JobFailed(f"edgekit {job.kind} {reason}", where=job.subject, hint=hint) from None
    if (error := outcome.error) is not None:
        raise JobFailed(
            error.problem,
            where=error.where,
            hint=error.hint,
            retry=error.exit_code != InputError.exit_code,
            code=error.exit_code,
        )
    return outcome
