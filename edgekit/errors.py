"""The errors a person can cause or meet, each with its exit code; everything else is a bug."""

from __future__ import annotations


class EdgekitError(Exception):
    """The job failed for a reason that can be named.

    ``problem`` says what is wrong, ``where`` names the file, key or image, ``hint`` what to do next.
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
            lines.append(f"  where: {self.where}")
        if self.hint:
            lines.append(f"  to do: {self.hint}")
        return "\n".join(lines)


class InputError(EdgekitError):
    """Wrong usage or bad input: found before slow work starts."""

    exit_code = 2


class CheckFailed(EdgekitError):
    """A check of the result did not hold (parity, golden outputs, accuracy gate)."""

    exit_code = 3


class TargetError(EdgekitError):
    """A machine to measure on could not be reached or prepared."""

    exit_code = 4


class ConversionFailed(EdgekitError):
    """A file cannot be made of this network; others may."""

    exit_code = 3
