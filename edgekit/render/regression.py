"""A check against a baseline as text: the cells that the terminal, Markdown and JUnit share."""

from __future__ import annotations

from edgekit.documents.regression import Check, CheckedFile, GateCheck, Outcome
from edgekit.render import numbers
from edgekit.render.text import plural

UNKNOWN = "-"

MINUS = str.maketrans("−–", "--")
"""The terminal gets plain ASCII."""


def check_name(check: Check) -> str:
    """``latency (2 threads)``."""
    return check.check if check.threads is None else f"{check.check} ({plural(check.threads, 'thread')})"


def figure(check: Check, value: float | None) -> str:
    """A figure of the file or of the baseline with its unit."""
    if value is None:
        return UNKNOWN
    if check.check in ("accuracy", "agreement"):
        text = f"{numbers.percent(value)}%"
    elif check.check in ("size", "memory"):
        text = f"{numbers.megabytes(value)} MB"
    elif check.check == "latency":
        text = f"{numbers.milliseconds(value)} ms"
    else:
        text = f"{numbers.significant(1000 * value)} mJ"
    return text.translate(MINUS)


def change(check: Check) -> str:
    """``-1.9 [-2.8, -1.1]`` points, or ``+9.8% [+8.1, +11.5]``; of an agreement its interval alone."""
    if check.change is None:
        return UNKNOWN
    if check.check == "agreement":
        return "" if check.change_interval is None else "[{:.1f}, {:.1f}]".format(*check.change_interval)
    text = f"{_signed(check.change)}{'%' if check.unit == 'percent' else ''}"
    if check.change_interval is None:
        return text
    low, high = check.change_interval
    return f"{text} [{_signed(low)}, {_signed(high)}]"


def _signed(value: float) -> str:
    return numbers.signed(value, 1).translate(MINUS)


def limit(check: Check) -> str:
    """``-1 pt``, ``+5%``, ``>= 90%``."""
    if check.limit is None:
        return ""
    if check.check == "agreement":
        return f">= {check.limit:g}%"
    return f"-{check.limit:g} pt" if check.unit == "points" else f"+{check.limit:g}%"


def headline(document: GateCheck) -> str:
    """``gate photos: failed (1 of 6 checks failed, 1 undecided)``."""
    total = len(document.checks)
    parts = [f"{document.count(one)} {one}" for one in _WORDS if document.count(one)]
    return f"gate {document.name}: {document.outcome} ({plural(total, 'check')}: {', '.join(parts)})"


_WORDS: tuple[Outcome, ...] = ("failed", "undecided", "passed", "not compared")


def about_file(file: CheckedFile) -> str:
    """How the latency of one file was measured, in one sentence; empty where there is nothing to say."""
    if file.sha256 == file.baseline_sha256:
        return "the file is the same as that of the baseline, so its latency and memory need no measurement"
    if not file.sessions:
        return ""
    text = f"latency: both files in {plural(file.sessions, 'session')}"
    if file.unstable:
        text += f"; the target was not quiet, which widens intervals ({file.unstable[0]})"
    return text


def explained(file: CheckedFile) -> list[tuple[Check, str]]:
    """The checks whose outcome needs an explanation, with the reason."""
    return [(check, check.reason) for check in file.checks if check.reason and check.outcome != "passed"]
