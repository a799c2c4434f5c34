"""What `edgekit gate` prints: a table of checks for each file, 80 columns wide."""

from __future__ import annotations

from edgekit.cli.output import table
from edgekit.cli.render.tables import WIDTH, wrapped
from edgekit.documents.regression import FAILED, NOT_COMPARED, PASSED, UNDECIDED, Check, CheckedFile, GateCheck, Outcome
from edgekit.render.regression import about_file, change, explained, figure, headline, limit
from edgekit.render.text import clipped

HEADERS = ("check", "baseline", "new", "change [interval]", "limit", "outcome")

OUTCOMES: dict[Outcome, str] = {FAILED: "FAILED", UNDECIDED: "undecided", PASSED: "passed", NOT_COMPARED: "-"}


def gate_text(document: GateCheck) -> str:
    """The outcome, then every file with its checks."""
    parts = [wrapped(headline(document)), *map(_file, document.files)]
    if document.notes:
        parts.append("\n".join(wrapped(f"note: {note}") for note in document.notes))
    return "\n\n".join(parts)


def _file(file: CheckedFile) -> str:
    rows = [
        [
            _short(check),
            figure(check, check.baseline),
            figure(check, check.new),
            change(check),
            limit(check),
            OUTCOMES[check.outcome],
        ]
        for check in file.checks
    ]
    lines = [clipped(file.id, WIDTH, middle=True), table(HEADERS, rows, right=(1, 2))]
    lines += [wrapped(f"{_short(check)}: {reason}") for check, reason in explained(file)]
    about = about_file(file)
    if about:
        lines.append(wrapped(about.replace("latency:", "latency (threads):", 1)))
    return "\n".join(lines)


def _short(check: Check) -> str:
    """``latency (2)``: the number of threads alone, so that the table fits."""
    return check.check if check.threads is None else f"{check.check} ({check.threads})"
