"""A check as a Markdown comment for a pull request: the outcome, a table of what is not fine, and everything folded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit.documents.regression import FAILED, NOT_COMPARED, PASSED, UNDECIDED, Check, CheckedFile, GateCheck, Outcome
from edgekit.render.markdown import bullets, escaped, table
from edgekit.render.regression import about_file, change, check_name, explained, figure, headline, limit
from edgekit.support.files import write_text

SIGNS: dict[Outcome, str] = {PASSED: "✅", FAILED: "❌", UNDECIDED: "❔", NOT_COMPARED: "➖"}

HEADERS = ("File", "Check", "Baseline", "New", "Change", "Limit", "Outcome")

Rows = Sequence[tuple[CheckedFile, Check]]


def write_markdown(document: GateCheck, path: Path) -> None:
    """Write the comment."""
    write_text(path, markdown(document))


def markdown(document: GateCheck) -> str:
    """The comment."""
    shown = [(file, check) for file, check in document.checks if check.outcome in (FAILED, UNDECIDED)]
    parts = [f"### {SIGNS[document.outcome]} {escaped(headline(document))}"]
    if shown:
        parts.append(_table(shown))
    reasons = [
        f"**{escaped(file.id)}, {check_name(check)}**: {escaped(reason)}"
        for file in document.files
        for check, reason in explained(file)
        if check.outcome in (FAILED, UNDECIDED)
    ]
    told = [escaped(f"{file.id}: {text}") for file in document.files if (text := about_file(file))]
    told += [escaped(note) for note in document.notes]
    parts += [bullets(reasons)] if reasons else []
    parts += ["<details><summary>All checks</summary>", _table(document.checks)]
    parts += [bullets(told)] if told else []
    parts += ["</details>", _made_by(document)]
    return "\n\n".join(parts) + "\n"


def _made_by(document: GateCheck) -> str:
    return (
        f"Measured on {escaped(document.target)} with edgekit {document.edgekit_version}; "
        f"baseline of {document.baseline_created[:10]}."
    )


def _table(rows: Rows) -> str:
    return table(HEADERS, [_cells(file, check) for file, check in rows])


def _cells(file: CheckedFile, check: Check) -> list[str]:
    return [
        file.id,
        check_name(check),
        figure(check, check.baseline),
        figure(check, check.new),
        change(check),
        limit(check).replace(">=", "≥"),
        f"{SIGNS[check.outcome]} {check.outcome}",
    ]
