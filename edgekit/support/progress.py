"""How stages report progress, whoever may be listening."""

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
        """A message about what is being done."""

    def warn(self, text: str) -> None:
        """A message that the user should act on, or know about when reading the result."""

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Bar]:  # noqa: ARG002 - for subclasses
        """A task of ``total`` steps that lasts as long as the ``with`` block."""
        yield _SilentBar()


class _SilentBar:
    def advance(self, steps: int = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


SILENT = Progress()
