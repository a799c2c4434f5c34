"""How a stage tells a person what it is doing, without knowing whether anybody looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Bar(Protocol):
    """One task with a known number of steps."""

    def advance(self, steps: int = 1) -> None: ...

    def note(self, text: str) -> None:
        """A short text shown behind the bar (images/s, loss)."""


class Progress:
    """Silent by default; the command line passes a subclass that writes to stderr."""

    def info(self, text: str) -> None:
        """One line worth reading while it runs."""

    def warn(self, text: str) -> None:
        """Something the person should act on or know when reading the result."""

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Bar]:  # noqa: ARG002 - for those who show it
        """A task of ``total`` steps for the length of the ``with`` block."""
        yield _SilentBar()


class _SilentBar:
    def advance(self, steps: int = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


SILENT = Progress()
