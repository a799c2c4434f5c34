"""The recommendation as text."""

from __future__ import annotations

from edgekit.documents.report_findings import RecommendationRecord

MOST_NAMES = 4
"""Exported files named in one sentence; ``report.json`` has all of them."""

_TITLES = {
    "chosen": "Deploy:",
    "none": "Nothing meets the constraints. The nearest:",
    "undecided": "Undecided between:",
}


def advice_title(advice: RecommendationRecord) -> str:
    """``Deploy:``, in front of the exported files that the recommendation names."""
    if advice.exports:
        return _TITLES[advice.status]
    return "Nothing meets the constraints." if advice.status == "none" else "No recommendation."


def advice_lines(advice: RecommendationRecord) -> list[str]:
    """The recommendation in sentences: which files, why, and the strongest doubt."""
    names = [f"{file.title} (#{file.number})" for file in advice.exports]
    if len(names) > MOST_NAMES:
        names[MOST_NAMES - 1 :] = [f"{len(names) - MOST_NAMES + 1} more"]
    doubt = [f"Strongest doubt: {advice.doubts[0]}"] if advice.doubts else []
    return [f"{advice_title(advice)} {'; '.join(names)}".strip(), *advice.reasons, *doubt]
