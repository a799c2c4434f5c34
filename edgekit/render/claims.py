"""Claims as text: what would decide one that is undecided, and marks of a claim."""

from __future__ import annotations

from edgekit.documents.report_findings import JudgedClaim, MoreNeeded
from edgekit.render.text import plural

AFTER_THE_FACT = "written after the results"


def more_text(more: MoreNeeded | None) -> str:
    """``about 4,200 more images would decide (with 80% power)``; empty where nothing is known that would."""
    if more is None:
        return ""
    number = _more(more.n, more.unit)
    if more.images:
        number += f" and {_more(more.images, 'images')}"
    power = "" if more.power is None else f" (with {100 * more.power:.0f}% power)"
    return f"about {number} would decide{power}"


def _more(n: int, unit: str) -> str:
    return plural(n, f"more {unit.removesuffix('s')}")


def claim_marks(claim: JudgedClaim) -> list[str]:
    """What to know about a claim besides its verdict, in phrases."""
    marks = [AFTER_THE_FACT] if claim.after_the_fact else []
    return [*marks, "about these trained networks only"] if claim.about == "networks" else marks
