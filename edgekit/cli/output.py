"""The one place that prints: results to stdout, progress and messages to stderr, or one JSON document."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgekit.errors import EdgekitError, InputError
from edgekit.support.progress import Bar, Progress

if TYPE_CHECKING:
    from rich.console import Console

LABEL = "EDGEKIT_LABEL"
"""Environment variable: what stands in front of every message of this process, where several share a terminal; it then
draws no progress bars."""

LOG_EVERY_S = 60.0
"""How often a long step says how far it is where there is no terminal."""


class Output(Progress):
    """Where a verb sends what it has to say.

    ``json_mode``: :meth:`result` prints one JSON document on stdout and nothing else goes there.
    ``quiet``: no progress and no information on stderr; warnings and errors stay.
    """

    def __init__(self, *, json_mode: bool = False, quiet: bool = False) -> None:
        self.json_mode = json_mode
        self.quiet = quiet
        self._label = os.environ.get(LABEL)
        self._console: Console | None = None

    @property
    def stderr(self) -> Console:
        """A Rich console on stderr, made when first needed."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(stderr=True, highlight=False)
        return self._console

    def info(self, text: str) -> None:
        if not self.quiet:
            self.stderr.print(self._labelled(text), markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        self.stderr.print(self._labelled(f"warning: {text}"), style="yellow", markup=False, soft_wrap=True)

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
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(compact=True),
        )
        with RichProgress(*columns, console=self.stderr, transient=True) as progress:
            yield _RichBar(progress, progress.add_task(description, total=total, note=""))

    def result(self, document: dict[str, Any], text: str = "") -> None:
        """The outcome of the verb: ``document`` with ``--json``, otherwise ``text``."""
        if self.json_mode:
            json.dump(document, sys.stdout, indent=1, allow_nan=False)
            sys.stdout.write("\n")
        elif text:
            sys.stdout.write(text.rstrip("\n") + "\n")
        sys.stdout.flush()

    def error(self, error: EdgekitError) -> None:
        """The one message of a failed verb, on stderr; with ``--json`` also as a document on stdout."""
        self.stderr.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        self._error_document(error)

    def usage_error(self, error: Any) -> None:
        """A mistake on the command line, as Typer words it."""
        error.show(sys.stderr)
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


class _LoggedBar:
    """Progress where stderr goes to a file: a line now and then, and none for what is soon done."""

    def __init__(self, out: Output, description: str, total: int) -> None:
        self._out, self._description, self._total = out, description, total
        self._done, self._told = 0, time.monotonic()

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        if time.monotonic() - self._told >= LOG_EVERY_S:
            self._told = time.monotonic()
            self._out.info(f"{self._description}: {self._done} of {self._total}")

    def note(self, text: str) -> None:
        """Nobody looks on."""


class _RichBar:
    def __init__(self, progress: Any, task: Any) -> None:
        self._progress = progress
        self._task = task

    def advance(self, steps: int = 1) -> None:
        self._progress.advance(self._task, steps)

    def note(self, text: str) -> None:
        self._progress.update(self._task, note=text)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """A plain-text table; columns named in ``right`` (indices) are right-aligned."""
    cells = [list(headers), *[list(row) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    lines = [
        "  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip()
        for row in cells
    ]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)
