"""Runs ``edgekit`` on one odd input and judges how it ends: no traceback, no "this is a bug", no hang."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECONDS = 20.0
"""An input that takes more seconds of a core counts as a hang."""

WAITING_SECONDS = 300.0
"""And so does one that takes longer than this on the clock, whatever else the machine does."""

CODES = (0, 1, 2, 3, 4, 130)


class Finding(AssertionError):
    """An input for which edgekit does not behave as it should."""


class _HangError(BaseException):
    """The time is over. Not an :class:`Exception`, which edgekit would turn into a message."""


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    code: int
    stdout: str
    stderr: str
    seconds: float


@dataclass
class Workspace:
    """A folder to work in, and files that no input may change."""

    path: Path
    guarded: dict[Path, str] = field(default_factory=dict)

    def guard(self, *paths: Path) -> None:
        """Every file below ``paths`` has to stay as it is."""
        for path in paths:
            for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
                if file.is_file():
                    self.guarded[file] = _digest(file)

    def check(self) -> None:
        for file, digest in self.guarded.items():
            if not file.is_file() or _digest(file) != digest:
                raise Finding(f"{file} was lost or changed")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def command(*arguments: object) -> Answer:
    """The command in this process; raises :class:`Finding` unless it ends as every command has to."""
    from edgekit.cli.app import main

    out, err = io.StringIO(), io.StringIO()
    code: object = None
    started = time.monotonic()
    with time_limit(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        except _HangError as hang:
            raise Finding(str(hang)) from None
    answer = Answer(int(code or 0), out.getvalue(), err.getvalue(), time.monotonic() - started)
    judge(answer)
    return answer


def process(
    arguments: list[str], *, stdin: int | None = None, environment: dict[str, str] | None = None, shell: str = ""
) -> Answer:
    """The command in its own process, through a shell with the redirections ``shell`` (``>&-``)."""
    started = time.monotonic()
    line = f'exec "$0" -m edgekit "$@" {shell}'
    running = subprocess.run(
        ["bash", "-c", line, sys.executable, *arguments],
        stdin=stdin,
        capture_output=True,
        timeout=WAITING_SECONDS,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    answer = Answer(
        running.returncode,
        running.stdout.decode(errors="replace"),
        running.stderr.decode(errors="replace"),
        time.monotonic() - started,
    )
    judge(answer, told="2>" not in shell and "&>" not in shell)
    return answer


def judge(answer: Answer, *, told: bool = True) -> None:
    """Raise :class:`Finding` for what no input may cause. ``told``: whether a message can be seen."""
    if answer.code not in CODES:
        raise Finding(f"exit code {answer.code}\n{answer.stderr[-2000:]}")
    text = answer.stdout + answer.stderr
    for sign in ("Traceback", "this is a bug", "Exception ignored", "DeprecationWarning", "UserWarning"):
        if sign in text:
            raise Finding(f"{sign!r} in the output\n{text[-2000:]}")
    if told and answer.code in (1, 2, 3, 4) and not answer.stderr.strip():
        raise Finding(f"exit code {answer.code} without a message")
    if len(answer.stderr) > 20_000:
        raise Finding(f"a message of {len(answer.stderr):,} characters")


def call(function: Callable[[], object]) -> object:
    """Call a function of edgekit that a command would call; the same rules hold."""
    from edgekit.cli.failures import as_edgekit_error

    try:
        with time_limit():
            return function()
    except _HangError as hang:
        raise Finding(str(hang)) from None
    except Exception as error:  # noqa: BLE001
        if "this is a bug" in (as_edgekit_error(error).hint or ""):
            raise Finding(traceback.format_exc()[-3000:]) from None
        return None


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    """End this block when it has taken too long."""

    def stop(_number: int, frame: object) -> None:
        where = "".join(traceback.format_stack(frame, 6))  # type: ignore[arg-type]
        raise _HangError(f"not done after {SECONDS:g} s of a core\n{where}")

    timers = ((signal.SIGPROF, signal.ITIMER_PROF, SECONDS), (signal.SIGALRM, signal.ITIMER_REAL, WAITING_SECONDS))
    before = {number: signal.signal(number, stop) for number, _, _ in timers}
    for _, timer, seconds in timers:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for number, timer, _ in timers:
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])
