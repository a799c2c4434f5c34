"""Lists of images with the reasons why they cannot be used."""

from __future__ import annotations

from collections.abc import Mapping


def listing(reasons: Mapping[str, str], most: int = 10) -> str:
    """The first ``most`` images with their reasons, one per line, and how many more there are."""
    lines = [f"  - {path}: {reason}" for path, reason in list(reasons.items())[:most]]
    if len(reasons) > most:
        lines.append(f"  and {len(reasons) - most} more")
    return "\n".join(lines)
