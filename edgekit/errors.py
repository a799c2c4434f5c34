"""Errors that a user can cause or run into, each with its exit code. Any other exception is a bug."""

from __future__ import annotations

from edgekit.device.plain_text import visible


class EdgekitError(Exception):
    """The job failed for a known reason.

    ``problem`` says what went wrong, ``where`` names the file, setting or image, and ``hint`` says what to do next.
    """

    exit_code = 1

    def __init__(self, problem: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.problem]
        if self.where:
            lines.append(f"  where: {visible(self.where)}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class InputError(EdgekitError):
    """Wrong usage or bad input, found before any slow work starts."""

    exit_code = 2


class CheckFailed(EdgekitError):
    """A result failed its check: the parity check, the golden outputs or the accuracy gate."""

    exit_code = 3


class TargetError(EdgekitError):
    """A target could not be reached or prepared."""

    exit_code = 4


class ConversionFailed(EdgekitError):
    """This network cannot be converted to one exported file; the other files may still work."""

    exit_code = 3
