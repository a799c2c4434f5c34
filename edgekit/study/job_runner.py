"""Running one command of a study: in a process of its own, its answer as a document, its end as an exception."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from edgekit.errors import EdgekitError, InputError

_ENDING_SECONDS = 20
"""How long a command may take to end after it was asked to; a training writes its checkpoint then."""


_RUNNING: set[subprocess.Popen[str]] = set()
"""Threads that wait for a command do not hear of an interrupt; the one that does ends the commands."""


class StepFailed(EdgekitError):
    """A command of the study ended with an error, which is told again.

    ``again``: another try may succeed. ``code`` is how the command ended.
    """

    def __init__(
        self, problem: str, *, where: str | None = None, hint: str | None = None, again: bool = True, code: int = 1
    ) -> None:
        super().__init__(problem, where=where, hint=hint)
        self.again = again
        self.code = code


def run_command(
    arguments: list[str], *, quiet: bool, environment: Mapping[str, str] | None = None, partly: bool = False
) -> dict[str, Any]:
    """Run an edgekit command in a process of its own; its JSON document.

    ``partly``: results that it gives are taken also where its exit code says that some are missing. Its progress
    goes to this process's stderr. Raises :class:`StepFailed` with the command's own message, and
    :class:`KeyboardInterrupt` where it was interrupted. When this process is interrupted, so is the command.
    """
    command = [sys.executable, "-m", "edgekit.cli.supervised", *arguments, "--json", *(["--quiet"] if quiet else [])]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    ) as process:
        _RUNNING.add(process)
        try:
            assert process.stdout is not None
            output = process.stdout.read()
            code = process.wait()
        except BaseException:
            _end(process)
            raise
        finally:
            _RUNNING.discard(process)
    return _answer(arguments, code, output, partly=partly)


def end_commands() -> None:
    """Ask every command that runs, also those that other threads wait for, to stop; returns when they have."""
    for process in list(_RUNNING):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    for process in list(_RUNNING):
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Ask it to stop, which for a training means: after this, ``--resume`` goes on; then insist."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _answer(arguments: list[str], code: int, output: str, *, partly: bool = False) -> dict[str, Any]:
    if code == 130:
        raise KeyboardInterrupt
    try:
        document = json.loads(output)
    except json.JSONDecodeError:
        reason = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code} and no result"
        hint = "too little memory is the usual cause; --jobs 1 needs the least" if code == -signal.SIGKILL else None
        raise StepFailed(f"edgekit {arguments[0]} {reason}", where=" ".join(arguments), hint=hint) from None
    if code != 0 and not (partly and "error" not in document):
        error = document.get("error", {})
        raise StepFailed(
            str(error.get("problem", f"edgekit {arguments[0]} ended with code {code}")),
            where=error.get("where"),
            hint=error.get("hint"),
            again=code != InputError.exit_code,
            code=code,
        )
    return dict(document)
