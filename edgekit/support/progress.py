"""The interface through which stages report progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Bar(Protocol):
    """A task with a known number of steps."""

    def advance(self, steps: int = 1) -> None: ...

    def note(self, text: str) -> None:
        """Show a short text after the bar (images/s, loss)."""


class Progress:
    """Receives messages and progress. This class ignores them; the command line uses a subclass that prints them."""

    def info(self, text: str) -> None:
        """Report the current step."""

    def warn(self, text: str) -> None:
        """Report a problem that the user should act on or know about."""

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Bar]:  # noqa: ARG002 - for subclasses
        """A context manager that shows a task of ``total`` steps while its block runs."""
        yield _SilentBar()


class _SilentBar:
    def advance(self, steps: int = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


SILENT = Progress()
