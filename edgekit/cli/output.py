"""The only module that prints: results go to stdout, progress and messages to stderr."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Protocol

from edgekit.device.plain_text import visible
from edgekit.errors import EdgekitError, InputError
from edgekit.support.progress import Bar, Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from edgekit.documents.base import Document

LABEL = "EDGEKIT_LABEL"
"""Environment variable with a label for every message of this process, where several share a terminal. A labelled
process draws no progress bars."""

LOG_EVERY_S = 60.0
"""How often a long step logs its progress when stderr is not a terminal."""


class UsageError(Protocol):
    """What Typer raises for a mistake on the command line."""

    def show(self, file: IO[str] | None = None) -> None:
        """Print the message below the usage line."""

    def format_message(self) -> str:
        """The message alone."""


class Output(Progress):
    """Where a command sends its output.

    ``json_mode``: :meth:`result` prints one JSON document on stdout, and nothing else is printed there.
    ``quiet``: prints no progress and no information on stderr; warnings and errors still appear.
    """

    def __init__(self, *, json_mode: bool = False, quiet: bool = False) -> None:
        self.json_mode = json_mode
        self.quiet = quiet
        self._label = os.environ.get(LABEL)
        self._console: Console | None = None

    @property
    def stderr(self) -> Console:
        """A Rich console on stderr, created on first use."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(stderr=True, highlight=False)
        return self._console

    def info(self, text: str) -> None:
        if not self.quiet:
            self.stderr.print(_harmless(self._labelled(text)), markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        text = _harmless(self._labelled(f"warning: {text}"))
        self.stderr.print(text, style="yellow", markup=False, soft_wrap=True)

    def _labelled(self, text: str) -> str:
        return text if self._label is None else f"{self._label}: {text}"

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Bar]:
        if self.quiet or self._label is not None:
            with super().bar(description, total) as silent:
                yield silent
            return
        if not self.stderr.is_terminal:
            yield _LoggedBar(self, description, total)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(compact=True),
        )
        with RichProgress(*columns, console=self.stderr, transient=True) as progress:
            yield _RichBar(progress, progress.add_task(visible(description), total=total, note=""))

    def result(self, document: Mapping[str, object] | Document, text: str = "") -> None:
        """Print the result of the command: ``document`` with ``--json``, otherwise ``text``."""
        if self.json_mode:
            values = dict(document) if isinstance(document, Mapping) else document.to_dict()
            json.dump(values, sys.stdout, indent=1, allow_nan=False)
            sys.stdout.write("\n")
        elif text:
            sys.stdout.write(_harmless(text.rstrip("\n")) + "\n")
        sys.stdout.flush()

    def error(self, error: EdgekitError) -> None:
        """Print why the command failed, on stderr; with ``--json`` also as a document on stdout."""
        self.stderr.print(_harmless(f"error: {error}"), style="red", markup=False, soft_wrap=True)
        self._error_document(error)

    def interrupted(self) -> None:
        """Print that the command was interrupted."""
        self.stderr.print("interrupted", style="yellow")

    def usage_error(self, error: UsageError) -> None:
        """Print a mistake on the command line, in Typer's words."""
        shown = io.StringIO()
        error.show(shown)
        sys.stderr.write(_harmless(shown.getvalue()))
        self._error_document(InputError(error.format_message()))

    def _error_document(self, error: EdgekitError) -> None:
        if self.json_mode:
            self.result(
                {
                    "error": {
                        "problem": error.problem,
                        "where": error.where,
                        "hint": error.hint,
                        "exit_code": error.exit_code,
                    }
                }
            )


def _harmless(text: str) -> str:
    """``text`` without control characters, which could come from a device, a file name or a class name."""
    return visible(text, keep="\n\t")


class _LoggedBar:
    """Progress when stderr is not a terminal: a line now and then, and none for a short step."""

    def __init__(self, out: Output, description: str, total: int) -> None:
        self._out, self._description, self._total = out, description, total
        self._done, self._started = 0, time.monotonic()
        self._last = self._started

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._last >= LOG_EVERY_S:
            self._last = now
            left = (now - self._started) / max(1, self._done) * (self._total - self._done)
            self._out.info(f"{self._description}: {self._done} of {self._total}{_time_left(left)}")

    def note(self, text: str) -> None:
        """Notes are shown beside a live bar only."""


def _time_left(seconds: float) -> str:
    """What follows a count of steps: ``, about 3 min left``."""
    if seconds < 1:
        return ""
    return f", about {seconds:.0f} s left" if seconds < 90 else f", about {seconds / 60:.0f} min left"


class _RichBar:
    def __init__(self, progress: RichProgress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, steps: int = 1) -> None:
        self._progress.advance(self._task, steps)

    def note(self, text: str) -> None:
        self._progress.update(self._task, note=visible(text))


def class_rows(counts: Mapping[str, Mapping[str, int]], classes: Sequence[str], most: int = 20) -> list[list[str]]:
    """Rows of a table of images by class and split: the first ``most`` classes, the others together, and all."""
    splits = list(counts.values())
    shown = classes if len(classes) <= most + 1 else classes[:most]
    rows = [[name, *(f"{of[name]:,}" for of in splits)] for name in shown]
    if others := classes[len(shown) :]:
        rows.append([f"{len(others):,} more classes", *(f"{sum(of[name] for name in others):,}" for of in splits)])
    return [*rows, ["all", *(f"{sum(of.values()):,}" for of in splits)]]


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Format a plain-text table. ``right`` holds the indices of the right-aligned columns."""
    cells = [[visible(cell) for cell in row] for row in (headers, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    lines = [
        "  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip()
        for row in cells
    ]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)
