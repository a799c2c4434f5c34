"""Error messages for unknown names: the closest valid name, and all the choices."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from edgekit.errors import InputError


def did_you_mean(value: str, choices: Iterable[str]) -> str | None:
    """The question "did you mean 'x'?" with the choice closest to ``value``; ``None`` if none is close."""
    close = difflib.get_close_matches(value, list(choices), n=1)
    return f"did you mean {close[0]!r}?" if close else None


def unknown_name(kind: str, value: str, choices: Iterable[str]) -> str:
    """One line that says that no ``kind`` has the name ``value``, for lists of problems."""
    names = list(choices)
    question = did_you_mean(value, names)
    return f"unknown {kind} {value!r}{f'; {question}' if question else ''} (choices: {', '.join(names)})"


def unknown_name_error(kind: str, value: str, choices: Iterable[str], *, where: str | None = None) -> InputError:
    """The error for a ``kind`` called ``value`` that does not exist; its hint has the choices."""
    names = list(choices)
    question = did_you_mean(value, names)
    hint = f"choose one of: {', '.join(names)}"
    return InputError(
        f"unknown {kind} {value!r}", where=where, hint=f"{question} Otherwise {hint}" if question else hint
    )
